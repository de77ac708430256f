"""Hashing, Merkle trees, key trees, sealing, signatures and keys.

Import the module you need (``from usufruct.crypto import merkle``): nothing is loaded here.
"""
