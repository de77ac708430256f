"""Sealed objects in a folder or any storage that fsspec reaches; keys stay with the caller."""

from usufruct.vault.sealed import SealedObject, Vault

__all__ = ["SealedObject", "Vault"]
