"""A model as two files that hold data only: ``model.json`` and ``weights.safetensors``.

Nothing in them is ever run, and nothing is allocated before every size has been checked
against the file. Which model it is (its content root) is the caller's to check.
"""

from __future__ import annotations

import contextlib
import math
import os
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from usufruct.crypto import canonical
from usufruct.errors import AlreadyExists, BadInput, MissingExtra, Unavailable
from usufruct.models.header import TensorInfo, header_length, read_header, write_header
from usufruct.store.atomic import TEMPORARY, fsync_folder, make_folder, write_atomic

if TYPE_CHECKING:
    from types import ModuleType

    from numpy.typing import NDArray

    Array = NDArray[Any]

FORMAT = "usufruct/model/v1"
SPEC_FILE = "model.json"
WEIGHTS_FILE = "weights.safetensors"
MAX_SPEC = 4 * 1024 * 1024

_DTYPES: Mapping[str, str] = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "|i1",
    "U64": "<u8",
    "U32": "<u4",
    "U16": "<u2",
    "U8": "|u1",
    "BOOL": "|b1",
}
_NAMES = {text: name for name, text in _DTYPES.items()}


def save_model(
    folder: Path,
    spec: Mapping[str, Any],
    tensors: Mapping[str, Array],
    *,
    finite: bool = True,
) -> None:
    """Save a model; equal models give byte-equal files.

    Parameters
    ----------
    folder
        Where; made if missing. It must not hold a model yet.
    spec
        What the model is, as JSON values. Floats are stored as strings, ``repr(x)``, since
        canonical JSON has none; ``float()`` gives them back exactly.
    tensors
        Arrays of booleans, integers or floats of 16 to 64 bits, by name.
    finite
        Refuse NaN and infinite elements.

    Raises
    ------
    BadInput
        A value or array that cannot be stored.
    AlreadyExists
        The folder holds a model.
    Unavailable
        The disk is full or the folder cannot be written.
    """
    numpy = _numpy()
    arrays: dict[str, Array] = {}
    described: list[tuple[str, str, tuple[int, ...]]] = []
    for name, tensor in tensors.items():
        array = _little_endian(numpy, name, tensor)
        if finite:
            _check_finite(numpy, name, array)
        arrays[name] = array
        described.append((name, _NAMES[_type_text(array)], array.shape))
    header, order = write_header(described)
    document = canonical.dumps(
        {
            "format": FORMAT,
            "spec": _exact(dict(spec), 0),
            "tensors": {
                name: {"dtype": dtype, "shape": list(shape)} for name, dtype, shape in described
            },
        }
    )
    if len(document) > MAX_SPEC:
        raise BadInput(f"the model's description has {len(document)} bytes, more than {MAX_SPEC}")
    make_folder(folder)
    if (folder / SPEC_FILE).exists():
        raise AlreadyExists(f"{folder} holds a model already", hint="save to another folder")
    _write_weights(folder / WEIGHTS_FILE, header, [arrays[name] for name in order])
    write_atomic(folder / SPEC_FILE, document)


def load_model(folder: Path, *, finite: bool = True) -> tuple[dict[str, Any], dict[str, Array]]:
    """Load a model that anybody may have written.

    Parameters
    ----------
    folder
        Holds ``model.json`` and ``weights.safetensors``; other files are not looked at.
    finite
        Refuse NaN and infinite elements.

    Returns
    -------
    spec, tensors
        The description as saved, and fresh arrays by name.

    Raises
    ------
    BadInput
        The files are not a model in this format, or disagree with each other.
    MissingExtra
        numpy is not installed.
    """
    numpy = _numpy()
    with _open(folder / SPEC_FILE) as file:
        text = file.read(MAX_SPEC + 1)
    document = canonical.loads(text, max_bytes=MAX_SPEC)
    if not isinstance(document, dict) or document.keys() != {"format", "spec", "tensors"}:
        raise BadInput(f"{folder / SPEC_FILE} does not describe a model")
    if document["format"] != FORMAT:
        raise BadInput(f"{folder / SPEC_FILE} has the unknown format {document['format']!r}")
    spec, promised = document["spec"], document["tensors"]
    if not isinstance(spec, dict) or not isinstance(promised, dict):
        raise BadInput(f"{folder / SPEC_FILE} does not describe a model")
    with _open(folder / WEIGHTS_FILE) as file:
        tensors = _read_weights(numpy, file, promised, finite=finite)
    return spec, tensors


def _read_weights(
    numpy: ModuleType, file: BinaryIO, promised: dict[str, Any], *, finite: bool
) -> dict[str, Array]:
    size = os.fstat(file.fileno()).st_size
    length = header_length(file.read(8), size)
    header = file.read(length)
    if len(header) != length:
        raise BadInput("the weights' file was cut short")
    infos = read_header(header, size - 8 - length)
    found = {n: {"dtype": t.dtype, "shape": list(t.shape)} for n, t in infos.items()}
    if found != promised:
        raise BadInput(f"{WEIGHTS_FILE} holds other tensors than {SPEC_FILE} promises")
    return {
        name: _read_tensor(numpy, file, 8 + length, info, finite=finite)
        for name, info in sorted(infos.items())
    }


def _read_tensor(
    numpy: ModuleType, file: BinaryIO, base: int, info: TensorInfo, *, finite: bool
) -> Array:
    try:
        # A boolean that is neither 0 nor 1 is undefined in numpy, so it is read as a number first.
        text = "|u1" if info.dtype == "BOOL" else _DTYPES[info.dtype]
        array: Array = numpy.empty(info.shape, dtype=text)
        file.seek(base + info.start)
        view = array.reshape(-1).view("u1").data if info.count else memoryview(b"")
        if info.count and file.readinto(view) != info.stop - info.start:  # type: ignore[attr-defined]
            raise BadInput(f"tensor {info.name!r} was cut short")
    except (OSError, ValueError, MemoryError) as error:
        raise BadInput(f"tensor {info.name!r} cannot be read: {error}") from error
    if info.dtype == "BOOL":
        if info.count and int(array.max()) > 1:
            raise BadInput(f"tensor {info.name!r} has a boolean that is neither 0 nor 1")
        array = array.view("|b1")
    if finite:
        _check_finite(numpy, info.name, array)
    return array


def _write_weights(path: Path, header: bytes, arrays: list[Array]) -> None:
    temporary = path.with_name(TEMPORARY + secrets.token_hex(8))
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(header)
                for array in arrays:
                    if array.size:
                        file.write(array.reshape(-1).view("u1").data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
        fsync_folder(path.parent)
    except OSError as error:
        raise Unavailable(
            f"cannot write {path}: {error.strerror}", hint="check free space and permissions"
        ) from error


def _open(path: Path) -> BinaryIO:
    # A link or a pipe in a stranger's folder could lead anywhere or block for ever.
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        raise BadInput(f"cannot read {path}: {error}") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise BadInput(f"{path} is not a regular file")
    return os.fdopen(descriptor, "rb")


def _little_endian(numpy: ModuleType, name: str, tensor: Any) -> Array:
    if not isinstance(tensor, numpy.ndarray | numpy.generic):
        raise BadInput(f"tensor {str(name)[:60]!r} is not a numpy array")
    array = numpy.asarray(tensor)
    if array.dtype.newbyteorder("<").str not in _NAMES:
        raise BadInput(f"tensor {str(name)[:60]!r} has the type {array.dtype}, which is not stored")
    result: Array = numpy.require(array, dtype=array.dtype.newbyteorder("<"), requirements="C")
    return result


def _type_text(array: Array) -> str:
    return str(array.dtype.newbyteorder("<").str)


def _check_finite(numpy: ModuleType, name: str, array: Array) -> None:
    if array.dtype.kind == "f" and not bool(numpy.isfinite(array).all()):
        raise BadInput(f"tensor {name!r} has elements that are NaN or infinite")


def _exact(value: Any, depth: int) -> Any:
    if depth > 24:
        raise BadInput("the model's description is nested too deeply")
    if isinstance(value, float):
        if not math.isfinite(value):
            raise BadInput("the model's description has a number that is NaN or infinite")
        return repr(float(value))
    if isinstance(value, Mapping):
        return {key: _exact(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_exact(item, depth + 1) for item in value]
    return value


def _numpy() -> ModuleType:
    try:
        import numpy
    except ImportError:
        raise MissingExtra("learn", "loading and saving models") from None
    return numpy
