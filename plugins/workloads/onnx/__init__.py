"""Workload `onnx`: an ONNX model in ONNX Runtime, in a child process."""
