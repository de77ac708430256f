"""Reading untrusted plain data: each helper returns the value or raises BadInput naming it."""

from __future__ import annotations

from collections.abc import Sequence
from operator import lt
from typing import Any

from usufruct.crypto import canonical
from usufruct.errors import BadInput
from usufruct.types import Address, parse_address

MAX_TEXT = 4096
MAX_PATH_BYTES = 4096
_HEX = "0123456789abcdef"


def record(
    value: Any, names: set[str], what: str, optional: frozenset[str] = frozenset()
) -> dict[str, Any]:
    """Return a JSON object that has exactly the fields `names`, and maybe some `optional` ones."""
    if not isinstance(value, dict) or not names <= set(value) <= names | optional:
        raise BadInput(f"{what} has the fields {', '.join(sorted(names))} and no others")
    return value


def items(value: Any, what: str, limit: int) -> list[Any]:
    """Return a JSON array of at most `limit` elements."""
    if not isinstance(value, list) or len(value) > limit:
        raise BadInput(f"{what} is not a list of at most {limit} elements")
    return value


def text(value: Any, what: str, limit: int = MAX_TEXT) -> str:
    """Return a string of at most `limit` characters."""
    if not isinstance(value, str) or len(value) > limit:
        raise BadInput(f"{what} is not a text of at most {limit} characters")
    return value


def whole(value: Any, what: str, least: int = 0) -> int:
    """Return an integer from `least` up to 2^53 exclusive."""
    if type(value) is not int or not least <= value < 2**53:
        raise BadInput(f"{what} is not a whole number of at least {least}")
    return value


def unhex(value: Any, what: str, size: int = 32) -> bytes:
    """Return `size` bytes from lower-case hexadecimal digits."""
    if isinstance(value, str) and len(value) == 2 * size and not value.strip(_HEX):
        return bytes.fromhex(value)
    raise BadInput(f"the {what} is not {2 * size} lower-case hexadecimal digits")


def digest(value: Any, what: str) -> str:
    """Return a 32-byte digest as 64 lower-case hexadecimal digits."""
    unhex(value, what)
    return str(value)


def address(value: Any, what: str) -> Address:
    """Return an address in lower case; other spellings are refused."""
    if not isinstance(value, str) or parse_address(value) != value:
        raise BadInput(f"the {what} is not a lower-case address")
    return Address(value)


def hashes(value: Any, what: str, limit: int = 64) -> tuple[bytes, ...]:
    """Return at most `limit` 32-byte hashes from one base64 text."""
    data = canonical.unb64(text(value, what, 44 * limit + 4))
    if len(data) % 32 or len(data) > 32 * limit:
        raise BadInput(f"the {what} is not a row of at most {limit} hashes")
    return tuple(data[i : i + 32] for i in range(0, len(data), 32))


def join(values: tuple[bytes, ...]) -> str:
    """Return hashes as one base64 text, the inverse of :func:`hashes`."""
    return canonical.b64(b"".join(values))


def check_paths(paths: Sequence[str]) -> None:
    """Refuse paths that are unsafe, doubled or out of order.

    Raises
    ------
    BadInput
        Absolute, empty, with a ``.``, ``..`` or empty part, a NUL, a lone surrogate or more than
        4,096 bytes; a file that is also a folder; not strictly ascending.
    """
    # one string for all files, so the checks cost no Python step a file
    blob = "\0/" + "/\0/".join(paths) + "/\0"
    if blob.count("\0") != len(paths) + 1:
        raise BadInput("a path holds a NUL character")
    if "//" in blob or "/./" in blob or "/../" in blob:
        raise BadInput("a path is absolute, empty, or has an empty, '.' or '..' part")
    try:
        blob.encode()
    except UnicodeEncodeError:
        raise BadInput("a path is not valid Unicode text") from None
    if len(paths) > 1 and not all(map(lt, paths, paths[1:])):
        raise BadInput("paths are doubled or not in the order of their bytes")
    if len(max(paths, key=len, default="")) * 4 > MAX_PATH_BYTES and any(
        len(path.encode()) > MAX_PATH_BYTES for path in paths
    ):
        raise BadInput(f"a path is longer than {MAX_PATH_BYTES} bytes")
    folders = {path.rpartition("/")[0] for path in paths if "/" in path}
    parents = set(folders)
    for folder in folders:
        while (folder := folder.rpartition("/")[0]) and folder not in parents:
            parents.add(folder)
    if not parents.isdisjoint(paths):
        raise BadInput("a path is both a file and a folder")
