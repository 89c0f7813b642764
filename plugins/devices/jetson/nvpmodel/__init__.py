"""Power modes in NVIDIA's `nvpmodel.conf`: read, write, and convert to and from profiles."""
