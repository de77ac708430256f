"""The safetensors header, read as if an enemy had written it: all checks before any allocation.

Format: https://github.com/huggingface/safetensors#format: a little-endian 64-bit header length,
that many bytes of JSON (space padded), then the tensors' bytes without gap or overlap.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from usufruct.crypto.canonical import check_brackets
from usufruct.errors import BadInput

ITEM_SIZES: Mapping[str, int] = {
    "F64": 8,
    "F32": 4,
    "F16": 2,
    "I64": 8,
    "I32": 4,
    "I16": 2,
    "I8": 1,
    "U64": 8,
    "U32": 4,
    "U16": 2,
    "U8": 1,
    "BOOL": 1,
}
"""Element types accepted and the bytes an element takes; numpy knows each of them."""

# The library's own order of element types, widest first; written files equal its files.
_ORDER = ("U64", "I64", "F64", "F32", "U32", "I32", "F16", "U16", "I16", "I8", "U8", "BOOL")
MAX_HEADER = 16 * 1024 * 1024
MAX_TENSORS = 65_536
MAX_DIMENSIONS = 32
MAX_NAME = 1024
_MAX_ELEMENTS = 1 << 56
_PREFIX = 8
_MOST_DEPTH = 4


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """What the header says of one tensor.

    Parameters
    ----------
    name
        Unique within the file.
    dtype
        A key of :data:`ITEM_SIZES`.
    shape
        Sizes of the dimensions; empty for a scalar.
    start, stop
        Where its bytes stand, counted from the end of the header.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    start: int
    stop: int

    @property
    def count(self) -> int:
        """Number of elements."""
        return _product(self.shape)


def check_name(name: object) -> str:
    """Return `name` if a tensor may be called so.

    Raises
    ------
    BadInput
        Not a string of printable ASCII, empty, too long, or reserved.
    """
    if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME or name == "__metadata__":
        _refuse(f"{str(name)[:60]!a} cannot be a tensor's name")
    if not (name.isascii() and name.isprintable()):
        _refuse(f"the tensor name {name[:60]!a} is not printable ASCII")
    return name


def write_header(tensors: Iterable[tuple[str, str, tuple[int, ...]]]) -> tuple[bytes, list[str]]:
    """Return the header (length prefix included) and the order in which the tensors follow.

    Parameters
    ----------
    tensors
        Name, element type and shape of each. The order is fixed by type, then name, so that
        equal models are equal files.

    Raises
    ------
    BadInput
        A name or element type that is not accepted.
    """
    header: dict[str, dict[str, Any]] = {}
    offset = 0
    for name, dtype, shape in sorted(tensors, key=lambda t: (_rank(t[1]), check_name(t[0]))):
        size = _product(shape) * ITEM_SIZES[dtype]
        header[name] = {
            "dtype": dtype,
            "shape": list(shape),
            "data_offsets": [offset, offset + size],
        }
        offset += size
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    if len(text) > MAX_HEADER or len(header) > MAX_TENSORS:
        _refuse("the model has too many tensors")
    return len(text).to_bytes(_PREFIX, "little") + text, list(header)


def header_length(prefix: bytes, file_size: int) -> int:
    """Return the length of the JSON header that follows the first 8 bytes.

    Raises
    ------
    BadInput
        Longer than the file or than 16 MiB, or the file is too short to have one.
    """
    if len(prefix) != _PREFIX:
        _refuse("it is shorter than a safetensors file can be")
    length = int.from_bytes(prefix, "little")
    if length < 2 or length > MAX_HEADER or length > file_size - _PREFIX:
        _refuse(f"its header would have {length} bytes")
    return length


def read_header(header: bytes, data_size: int) -> dict[str, TensorInfo]:
    """Return the tensors of a file, in the order of their bytes.

    Parameters
    ----------
    header
        The JSON text.
    data_size
        Bytes in the file after the header: the tensors must fill it exactly.

    Raises
    ------
    BadInput
        Anything the format does not allow: unknown type, wrong size, gap, overlap, extra key.
    """
    document = _parse(header)
    metadata = document.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        _refuse("its __metadata__ is not a table of strings")
    if len(document) > MAX_TENSORS:
        _refuse(f"it has {len(document)} tensors")
    tensors = sorted((_tensor(n, v) for n, v in document.items()), key=lambda t: (t.start, t.stop))
    position = 0
    for tensor in tensors:
        if tensor.start != position:
            _refuse(f"tensor {tensor.name!r} starts at {tensor.start}, not at {position}")
        position = tensor.stop
    if position != data_size:
        _refuse(f"its tensors take {position} bytes, but {data_size} follow the header")
    return {tensor.name: tensor for tensor in tensors}


def _tensor(name: str, value: object) -> TensorInfo:
    check_name(name)
    if not isinstance(value, dict) or value.keys() != {"dtype", "shape", "data_offsets"}:
        _refuse(f"tensor {name!r} is not described by dtype, shape and data_offsets")
    dtype, shape, offsets = value["dtype"], value["shape"], value["data_offsets"]
    if not isinstance(dtype, str) or dtype not in ITEM_SIZES:
        _refuse(f"tensor {name!r} has the unknown element type {str(dtype)[:20]!r}")
    if not _naturals(shape) or len(shape) > MAX_DIMENSIONS:
        _refuse(f"the shape of tensor {name!r} is not a list of sizes")
    if not _naturals(offsets) or len(offsets) != 2:
        _refuse(f"the data_offsets of tensor {name!r} are not two positions")
    start, stop = offsets
    if stop - start != _product(shape) * ITEM_SIZES[dtype]:
        _refuse(f"tensor {name!r} has not the bytes that its shape and type need")
    return TensorInfo(name, dtype, tuple(shape), start, stop)


def _parse(header: bytes) -> dict[str, Any]:
    if not header.startswith(b"{"):
        _refuse("its header is not a JSON object")
    try:
        # where a library raised the recursion limit, deep nesting would end the process
        check_brackets(header, _MOST_DEPTH)
    except BadInput:
        _refuse("its header is nested too deep, or its brackets do not match")
    try:
        document = json.loads(
            header.decode("utf-8"),
            object_pairs_hook=_unique,
            parse_int=_integer,
            parse_float=_no_float,
            parse_constant=_no_float,
        )
    except (ValueError, RecursionError, MemoryError):
        _refuse("its header is not strict JSON")
    if not isinstance(document, dict):
        _refuse("its header is not a JSON object")
    return document


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        _refuse("its header names one thing twice")
    return table


def _integer(text: str) -> int:
    if len(text) > 18:
        _refuse("its header has a number that no file can need")
    return int(text)


def _no_float(text: str) -> NoReturn:
    _refuse("its header has a number that is not whole")


def _naturals(value: object) -> bool:
    return isinstance(value, list) and all(type(n) is int and n >= 0 for n in value)


def _product(shape: Iterable[int]) -> int:
    sizes = tuple(shape)
    if 0 in sizes:
        # A zero beside huge sizes still makes numpy overflow.
        for size in sizes:
            if size > 1 << 31:
                _refuse("a shape has a size that no array can have")
        return 0
    product = 1
    for size in sizes:
        product *= size
        if product > _MAX_ELEMENTS:
            _refuse("a shape has more elements than any file can hold")
    return product


def _rank(dtype: str) -> int:
    if dtype not in ITEM_SIZES:
        _refuse(f"arrays of type {dtype!r} cannot be saved")
    return _ORDER.index(dtype)


def _refuse(why: str) -> NoReturn:
    raise BadInput(f"this is not a model file that can be loaded: {why}")
