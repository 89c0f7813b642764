"""The reference image network under ONNX Runtime, for when no model is named."""

from __future__ import annotations

from pathlib import Path

from tuner.errors import UsageError
from tuner.ports import OpenContext

from ..onnx.workload import OnnxWorkload
from .model import ensure_model


class ReferenceWorkloadPlugin:
    """Entry point ``reference``."""

    name = "reference"
    summary = "a small convolutional image classifier with synthetic weights, under ONNX Runtime"

    def open(self, argument: str | None, context: OpenContext) -> OnnxWorkload:
        """Open the reference network; builds its file in the state directory on first use.

        Raises:
            UsageError: an argument was given.
            MissingDependencyError, PermissionDeniedError: the file cannot be built.
        """
        if argument:
            raise UsageError("The reference workload takes no argument.", "Write --workload reference.")
        return OnnxWorkload("reference", str(ensure_model(Path(context.state_dir))), context)
