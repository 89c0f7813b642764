"""The one place that states the program's version."""

VERSION = "0.1.0"
