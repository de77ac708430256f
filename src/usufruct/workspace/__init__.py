"""One party's workspace: composes the rooms below, holds no rules of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from usufruct.clock import Clock, system_clock
from usufruct.crypto import keystore
from usufruct.errors import AlreadyExists, NotAllowed, NotFound, UsufructError
from usufruct.ports import SILENT, Progress
from usufruct.store import read_bytes, write_atomic
from usufruct.workspace.home import (
    EMBEDDED,
    JOINED,
    NO_LEDGER,
    Home,
    check_name,
    default_home,
)
from usufruct.workspace.identities import NewIdentity

if TYPE_CHECKING:
    from usufruct.workspace.verifying import Verified
    from usufruct.workspace.workspace import Workspace

__all__ = ["Created", "Workspace", "create", "join", "open_home", "verify"]


@dataclass(frozen=True, slots=True)
class Created:
    """A new home; `note` says why its party is not registered on the ledger yet, if so."""

    home: str
    identity: NewIdentity
    ledger: str
    transaction: str | None
    note: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return plain data, for ``--json``: the words of the identity included, shown once."""
        return {
            "home": self.home,
            "name": self.identity.name,
            "address": self.identity.address,
            "phrase": self.identity.phrase,
            "ledger": self.ledger,
            "transaction": self.transaction,
            "note": self.note,
        }


def __getattr__(name: str) -> Any:
    if name == "Workspace":
        from usufruct.workspace.workspace import Workspace

        return Workspace
    raise AttributeError(name)


def open_home(
    home: Path | str | None = None,
    *,
    passphrase: Callable[[], str] | None = None,
    identity: keystore.Identity | None = None,
    progress: Progress = SILENT,
    clock: Clock = system_clock,
    write: bool = True,
) -> Workspace:
    """Open a home; see :class:`usufruct.workspace.session.Session`.

    Raises
    ------
    NotFound
        There is no home.
    HomeBusy
        Another process writes to it.
    """
    from usufruct.workspace.workspace import Workspace

    return Workspace(
        Home.open(_path(home)),
        passphrase=passphrase,
        identity=identity,
        progress=progress,
        clock=clock,
        write=write,
    )


def create(
    home: Path | str | None,
    *,
    name: str,
    network: str = NO_LEDGER,
    passphrase: Callable[[], str],
    clock: Clock = system_clock,
) -> Created:
    """Make a home with an identity and its log, and join a ledger: all of it or nothing.

    Parameters
    ----------
    network
        ``none``, ``embedded``, or the path of a network file.

    Raises
    ------
    AlreadyExists
        There is a home already.
    LedgerUnreachable, WrongNetwork
        The ledger does not answer or is another; no home is made.
    """
    from usufruct.workspace.connection import load_network, reach
    from usufruct.workspace.workspace import Workspace

    path = _absolute(_path(home))
    if (path / "home.json").exists():
        raise AlreadyExists(f"{path} is a home already", hint="use it, or name another with --home")
    check_name(name)
    file = None
    if network not in (NO_LEDGER, EMBEDDED):
        described, file = load_network(Path(network))
        reach(described).ledger.close()
    elif network == EMBEDDED:
        from usufruct.ledger.binary import find_engine

        find_engine()
    identity, phrase = keystore.new_identity(name)
    secret = passphrase()
    kind = network if network in (NO_LEDGER, EMBEDDED) else JOINED
    transaction = note = None
    with Home.create(path, ledger=kind) as made:
        if file is not None:
            write_atomic(path / "network.json", file, mode=0o644)
        made.add(identity, secret)
        with Workspace(made, identity=identity, clock=clock) as ws:
            _ = ws.signed_log
            try:
                transaction = ws.join() if ws.has_ledger else None
            except NotAllowed as error:
                # nobody gives gas money on a public chain: it is registered with its first asset
                note = error.message
            ledger = ws.connection.network.name if ws.has_ledger else NO_LEDGER
    new = NewIdentity(name, identity.public.address, phrase)
    return Created(str(path), new, ledger, transaction, note)


def _absolute(path: Path) -> Path:
    try:
        return path.absolute()
    except FileNotFoundError:
        raise NotFound(
            "the folder this runs in was deleted", hint="change to another folder"
        ) from None


def join(
    home: Path | str | None,
    network: Path,
    *,
    passphrase: Callable[[], str],
    operator: str | None = None,
) -> str | None:
    """Let an existing home join a ledger by its network file; return the registration.

    What the home has published before is registered as well. Joining the same ledger again
    finishes what was cut short.

    Raises
    ------
    AlreadyExists
        The home uses another ledger: its assets are registered there.
    """
    from usufruct.workspace.connection import load_network, reach

    described, file = load_network(network, operator)
    opened = Home.open(_path(home))
    if opened.ledger != NO_LEDGER and not _same(opened, file):
        raise AlreadyExists(
            f"{opened.path} uses a ledger already", hint="another ledger is another home"
        )
    reach(described).ledger.close()
    identity = opened.unlock(passphrase)
    if opened.ledger == NO_LEDGER:
        with opened.lock():
            write_atomic(opened.path / "network.json", file, mode=0o644)
            opened.ledger = JOINED
            opened.save()
    with open_home(opened.path, identity=identity) as ws:
        return ws.join()


def _same(home: Home, file: bytes) -> bool:
    try:
        return home.ledger == JOINED and file == read_bytes(
            home.path / "network.json", limit=len(file)
        )
    except UsufructError:
        return False


def verify(target: str | Path, **options: Any) -> Verified:
    """Verify a file, a folder, a bundle or an asset; see `verifying.verify`."""
    from usufruct.workspace import verifying

    return verifying.verify(str(target), **options)


def _path(home: Path | str | None) -> Path:
    return default_home() if home is None else Path(home)
