"""A party's folder: where its keys, log, vault, assets and network file stand."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from usufruct.crypto import canonical, keystore
from usufruct.errors import AlreadyExists, BadInput, Damaged, NotFound
from usufruct.store import HomeLock, make_folder, read_bytes, remove, write_atomic
from usufruct.types import Address

FORMAT = "usufruct/home/v1"
VARIABLE = "USUFRUCT_HOME"
NO_LEDGER, EMBEDDED, JOINED = "none", "embedded", "joined"

MARKER = "being-made"
"""Locked while a home is made; one that nobody locks tells of an attempt that was cut short."""

_MOST = 1 << 20
_NAME = re.compile(r"[^\W_][\w .'-]{0,63}\Z")


@dataclass(frozen=True, slots=True)
class Key:
    """One identity kept in a home."""

    public: keystore.PublicIdentity
    current: bool


def default_home() -> Path:
    """Return ``$USUFRUCT_HOME``, else ``~/.usufruct``.

    Raises
    ------
    BadInput
        Neither is known.
    """
    given = os.environ.get(VARIABLE)
    if given:
        return Path(given)
    try:
        return Path.home() / ".usufruct"
    except RuntimeError:
        raise BadInput(
            "this user has no home folder", hint=f"name one with --home or {VARIABLE}"
        ) from None


def check_name(name: str) -> str:
    """Return `name` if an identity can have it (BadInput)."""
    if not _NAME.match(name) or len(os.fsencode(name)) > 200:
        raise BadInput(
            f"'{name}' cannot be the name of an identity",
            hint="letters, digits, space and . ' - up to 64, beginning with a letter or digit",
        )
    return name


class Home:
    """The layout of a home and the few settings in its ``home.json``.

    Nothing here holds a secret in memory longer than :meth:`unlock` takes.
    """

    def __init__(self, path: Path, settings: dict[str, str], *, new: bool = False) -> None:
        self.path = path
        self._settings = settings
        self._new = new

    @classmethod
    @contextmanager
    def create(cls, path: Path, *, ledger: str = NO_LEDGER) -> Iterator[Home]:
        """Make a new home around a block: it exists when the block ends, or nothing is left.

        What an attempt that was killed has left is removed by the next one.

        Raises
        ------
        AlreadyExists
            There is a home already, or other files.
        HomeBusy
            Another process makes a home there.
        """
        marker = path / MARKER
        _refuse_home(path)
        had_folder = path.exists()
        if not marker.exists() and _names(path):
            raise AlreadyExists(
                f"{path} holds other files, and a home has a folder of its own",
                hint="name an empty or new folder with --home",
            )
        try:
            make_folder(path)
            with HomeLock(marker):
                if (path / "home.json").exists():
                    remove(marker)
                    _refuse_home(path)
                try:
                    _clear(path)
                    for folder in (path / "keys", path / "log"):
                        make_folder(folder)
                    home = cls(path, {"format": FORMAT, "ledger": ledger, "current": ""}, new=True)
                    yield home
                    home._new = False
                    home.save()
                except BaseException:
                    with suppress(OSError):
                        _clear(path)
                        remove(marker)
                    raise
                remove(marker)
        except BaseException:
            if not had_folder:
                with suppress(OSError):
                    path.rmdir()
            raise

    @classmethod
    def open(cls, path: Path) -> Home:
        """Open the home at `path`.

        Raises
        ------
        NotFound
            There is none.
        Damaged
            Its ``home.json`` is not what was written.
        """
        try:
            data = read_bytes(path / "home.json", limit=_MOST)
        except NotFound:
            raise NotFound(f"{path} is not a home", hint=f"usufruct init --home {path}") from None
        try:
            settings = canonical.loads(data.rstrip(b"\n"))
        except BadInput as error:
            raise Damaged(f"{path / 'home.json'} is damaged: {error}") from error
        if (
            not isinstance(settings, dict)
            or settings.get("format") != FORMAT
            or set(settings) != {"format", "ledger", "current"}
            or not all(isinstance(value, str) for value in settings.values())
        ):
            raise Damaged(f"{path / 'home.json'} is not a home of this version")
        return cls(path, settings)

    def save(self) -> None:
        """Write ``home.json``; a home exists from the first save on."""
        if self._new:
            return
        write_atomic(self.path / "home.json", canonical.dumps(self._settings) + b"\n")

    def lock(self) -> HomeLock:
        """Take the home for writing, or raise :class:`HomeBusy` at once."""
        return HomeLock(self.path / "lock").acquire()

    @property
    def ledger(self) -> str:
        """``none``, ``embedded`` or ``joined``."""
        return self._settings["ledger"]

    @ledger.setter
    def ledger(self, kind: str) -> None:
        self._settings["ledger"] = kind

    def identities(self) -> tuple[Key, ...]:
        """Return every identity of this home, by name."""
        found = []
        for path in sorted((self.path / "keys").glob("*.json")):
            public = keystore.read_public(read_bytes(path, limit=_MOST))
            if public.name != path.stem:
                raise Damaged(
                    f"{path} holds the identity '{public.name}'", hint="give the file its name back"
                )
            found.append(Key(public, current=public.name == self._settings["current"]))
        return tuple(found)

    def public(self, name: str | None = None) -> keystore.PublicIdentity:
        """Return the public half of an identity (the current one unless named)."""
        return keystore.read_public(self._keystore(name))

    def unlock(self, passphrase: Callable[[], str], name: str | None = None) -> keystore.Identity:
        """Return an identity with its secrets.

        Raises
        ------
        WrongPassphrase
            The keystore does not open with it.
        Damaged
            The keystore is not what was written.
        """
        return keystore.open_keystore(self._keystore(name), passphrase())

    def add(self, identity: keystore.Identity, passphrase: str) -> None:
        """Keep an identity, encrypted; the first one becomes current."""
        path = self._key_path(identity.public.name)
        if path.exists():
            raise AlreadyExists(
                f"there is an identity '{identity.public.name}' in {self.path} already",
                hint="choose another name",
            )
        if any(k.public.address == identity.public.address for k in self.identities()):
            raise AlreadyExists(f"the account {identity.public.address} is in this home already")
        write_atomic(path, keystore.seal_keystore(identity, passphrase))
        if not self._settings["current"]:
            self.use(identity.public.name)

    def use(self, name: str) -> None:
        """Make an identity the current one."""
        self._keystore(name)
        self._settings["current"] = name
        self.save()

    def log_folder(self, address: Address) -> Path:
        """Return the folder of a party's log: one append-only log each."""
        return self.path / "log" / address[2:]

    def _key_path(self, name: str) -> Path:
        return self.path / "keys" / f"{check_name(name)}.json"

    def _keystore(self, name: str | None) -> bytes:
        wanted = name or self._settings["current"]
        if not wanted:
            raise NotFound(f"{self.path} has no identity yet", hint="usufruct id new NAME")
        try:
            return read_bytes(self._key_path(wanted), limit=_MOST)
        except NotFound:
            raise NotFound(
                f"there is no identity '{wanted}' in {self.path}", hint="usufruct id list"
            ) from None


def _refuse_home(path: Path) -> None:
    if (path / "home.json").exists():
        raise AlreadyExists(f"{path} is a home already", hint="use it, or name another with --home")


def _names(path: Path) -> list[str]:
    try:
        return os.listdir(path) if path.is_dir() else []
    except OSError as error:
        raise BadInput(f"cannot read the folder {path}: {error.strerror}") from error


def _clear(path: Path) -> None:
    """Remove what an attempt to make a home has left, ``home.json`` first."""
    (path / "home.json").unlink(missing_ok=True)
    for name in _names(path):
        if name == MARKER:
            continue
        left = path / name
        if left.is_dir() and not left.is_symlink():
            shutil.rmtree(left)
        else:
            left.unlink()
