"""Device `jetson`: an NVIDIA Jetson board, read and written through its kernel's files."""
