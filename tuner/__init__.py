"""tuner: a configuration tuner for DNN inference on NVIDIA Jetson boards."""

from tuner._version import VERSION as __version__

__all__ = ["__version__"]
