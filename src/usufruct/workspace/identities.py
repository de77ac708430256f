"""Identities of a home: made, chosen, exported, recovered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from usufruct.crypto import keystore
from usufruct.types import Address
from usufruct.workspace.home import Home, Key, default_home


@dataclass(frozen=True, slots=True)
class NewIdentity:
    """An identity and the 24 words that bring it back."""

    name: str
    address: Address
    phrase: str = field(repr=False)


def keys(home: Path | None) -> tuple[Key, ...]:
    """Return the identities of a home."""
    return Home.open(home or default_home()).identities()


def key(home: Path | None, name: str | None) -> Key:
    """Return one identity (the current one unless named)."""
    opened = Home.open(home or default_home())
    public = opened.public(name)
    return next(k for k in opened.identities() if k.public.name == public.name)


def new(home: Path | None, name: str, passphrase: Callable[[], str]) -> NewIdentity:
    """Make an identity in a home."""
    opened = Home.open(home or default_home())
    with opened.lock():
        identity, phrase = keystore.new_identity(name)
        opened.add(identity, passphrase())
    return NewIdentity(name, identity.public.address, phrase)


def use(home: Path | None, name: str) -> None:
    """Make an identity the current one."""
    opened = Home.open(home or default_home())
    with opened.lock():
        opened.use(name)


def export(home: Path | None, name: str | None, passphrase: Callable[[], str]) -> NewIdentity:
    """Return the words of an identity."""
    identity = Home.open(home or default_home()).unlock(passphrase, name)
    return NewIdentity(identity.public.name, identity.public.address, identity.export_phrase())


def recover(
    home: Path | None, name: str, phrase: str, passphrase: Callable[[], str]
) -> NewIdentity:
    """Bring an identity back from its 24 words into a home.

    Raises
    ------
    BadInput
        The words are not a phrase; which word is named.
    """
    identity = keystore.recover(name, " ".join(phrase.split()))
    opened = Home.open(home or default_home())
    with opened.lock():
        opened.add(identity, passphrase())
    return NewIdentity(name, identity.public.address, "")
