"""A Jetson's power rails: which there are, how fast and how late their sensors are, and the meter."""
