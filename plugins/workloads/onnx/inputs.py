"""Inputs of an ONNX model: the shapes that were asked for, synthetic arrays, arrays from a file."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tuner.errors import FileMissingError, MalformedFileError, ModelRejectedError, UsageError
from tuner.files import open_regular
from tuner.rights import OWN, Rights

#: ONNX Runtime's element type -> numpy's.
_DTYPES = {
    "float": "float32",
    "float16": "float16",
    "double": "float64",
    "bool": "bool",
    "string": "object",
    "int8": "int8",
    "int16": "int16",
    "int32": "int32",
    "int64": "int64",
    "uint8": "uint8",
    "uint16": "uint16",
    "uint32": "uint32",
    "uint64": "uint64",
}
_IMAGE_SIDE = 224
_SEQUENCE_LENGTH = 128
_CHANNELS = (1, 3, 4)
_SHAPE = re.compile(r"(.+)=(\d{1,18}(?:[xX]\d{1,18})*)?")


def parse_shapes(texts: Sequence[str]) -> dict[str, list[int]]:
    """Return input name -> shape from texts such as ``name=1x3x224x224`` (``name=`` is a scalar).

    Raises:
        UsageError: a text of another form, a dimension of 0, or an input named twice.
    """
    shapes: dict[str, list[int]] = {}
    for text in texts:
        match = _SHAPE.fullmatch(text.strip())
        if match is None:
            raise UsageError(f"'{text}' is not an input shape.", "Write name=1x3x224x224.")
        shape = [int(d) for d in re.split("[xX]", match[2])] if match[2] else []
        if 0 in shape:
            raise UsageError(f"Input shape '{text}' has a dimension of 0.", "Give every dimension 1 or more.")
        if match[1] in shapes:
            raise UsageError(f"Input '{match[1]}' is given two shapes.", "Give each input one --input-shape.")
        shapes[match[1]] = shape
    return shapes


def make_inputs(
    declared: Sequence[Any], shapes: Mapping[str, Sequence[int]], file: str | None, seed: int, rights: Rights = OWN
) -> dict[str, Any]:
    """Return input name -> numpy array for a session's declared inputs (`NodeArg`: name, type, shape).

    Arrays of `file` (.npz, opened with `rights`) are taken as they are; the others are synthetic: uniform in
    [0, 1) for floats (by `seed`), 1 for integers (valid as token, mask and length alike), True, and ``"a"``.

    Raises:
        UsageError: a shape or an array that the model does not have, or that does not fit.
        FileMissingError, MalformedFileError: of `file`.
        ModelRejectedError: an input that is no tensor of a supported type.
    """
    import numpy as np

    names = [d.name for d in declared]
    given = _load(file, rights) if file else {}
    for name in (*shapes, *given):
        if name not in names:
            raise UsageError(f"The model has no input '{name}'.", f"Its inputs: {', '.join(names) or 'none'}.")
    random = np.random.default_rng(seed)
    inputs: dict[str, Any] = {}
    for argument in declared:
        dtype = _dtype(argument)
        if argument.name in given:
            inputs[argument.name] = _fitted(argument, given[argument.name], dtype)
            continue
        shape = list(shapes.get(argument.name, default_shape(argument.shape)))
        _check_shape(argument, shape)
        if dtype.startswith("float"):
            inputs[argument.name] = random.random(shape, dtype="float32").astype(dtype)
        else:
            inputs[argument.name] = np.full(shape, "a" if dtype == "object" else 1, dtype=dtype)
    return inputs


def default_shape(shape: Sequence[int | str | None]) -> list[int]:
    """Return a shape for a model input whose unnamed or symbolic dimensions are free.

    The first free dimension is a batch of 1. Of rank 4, height and width become 224 and channels 3,
    whichever of NCHW and NHWC the fixed dimensions suggest. A dimension called after a sequence or a
    length becomes 128; any other 1.
    """
    if len(shape) == 4:
        channels_last = shape[3] in _CHANNELS and shape[1] not in _CHANNELS
        free = [1, _IMAGE_SIDE, _IMAGE_SIDE, 3] if channels_last else [1, 3, _IMAGE_SIDE, _IMAGE_SIDE]
    else:
        free = [_SEQUENCE_LENGTH if i and _is_sequence(d) else 1 for i, d in enumerate(shape)]
    return [d if isinstance(d, int) and d > 0 else free[i] for i, d in enumerate(shape)]


def _is_sequence(dimension: int | str | None) -> bool:
    return isinstance(dimension, str) and any(word in dimension.lower() for word in ("seq", "len"))


def _dtype(argument: Any) -> str:
    match = re.fullmatch(r"tensor\((\w+)\)", argument.type)
    if match is None or match[1] not in _DTYPES:
        raise ModelRejectedError(
            f"The model's input '{argument.name}' is a {argument.type}, for which no input can be made.",
            "Use a model whose inputs are tensors of numbers, booleans or strings.",
        )
    return _DTYPES[match[1]]


def _check_shape(argument: Any, shape: Sequence[int]) -> None:
    fits = len(shape) == len(argument.shape) and all(
        not isinstance(known, int) or known <= 0 or known == wanted
        for known, wanted in zip(argument.shape, shape, strict=True)
    )
    if not fits:
        raise UsageError(
            f"Input '{argument.name}' cannot have the shape {'x'.join(map(str, shape)) or 'of a scalar'}.",
            f"The model declares {'x'.join('?' if d is None else str(d) for d in argument.shape)}; "
            "only its free dimensions can be chosen.",
        )


def _load(file: str, rights: Rights) -> dict[str, Any]:
    import zipfile

    import numpy as np

    try:
        with open_regular(Path(file), rights) as opened, np.load(opened, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except OSError as error:
        raise FileMissingError(
            f"The inputs '{file}' cannot be read: {error.strerror or error}.", "Check --inputs."
        ) from error
    except (ValueError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise MalformedFileError(
            f"'{file}' is no .npz archive of plain arrays.", "Write it with numpy.savez(file, name=array)."
        ) from error


def _fitted(argument: Any, array: Any, dtype: str) -> Any:
    import numpy as np

    _check_shape(argument, array.shape)
    if dtype == "object" and array.dtype.kind in "US":
        return array.astype(object)
    if not np.can_cast(array.dtype, dtype, casting="same_kind"):
        raise UsageError(
            f"Input '{argument.name}' is {array.dtype} in the file, but {argument.type} in the model.",
            "Save the array in the model's type.",
        )
    return array.astype(dtype, copy=False)
