"""tuner: a configuration tuner for DNN inference on NVIDIA Jetson boards."""

from tuner._version import VERSION

__version__ = VERSION

__all__ = ["__version__"]
