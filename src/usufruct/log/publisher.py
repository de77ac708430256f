"""Tile files and the checkpoint file: derived from the database, written for C2SP readers."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterable, Sequence
from hashlib import sha256
from pathlib import Path

from usufruct.errors import BadInput, Damaged, NotFound, Unavailable
from usufruct.log.database import Database
from usufruct.log.tiles import TILE_BYTES, WIDTH, Tile, encode_bundle, full_tiles, partial_tiles
from usufruct.log.tree import FullTile
from usufruct.store import make_folder, read_bytes, write_atomic

CHECKPOINT = "checkpoint"
MAX_CHECKPOINT = 64 * 1024
_MAX_FILE = TILE_BYTES + 2 * WIDTH


class Publisher:
    """The folder that C2SP readers see; it holds hashes only and may be served as it is.

    Parameters
    ----------
    folder
        Made if missing.
    database
        What the files are derived from.
    """

    def __init__(self, folder: Path, database: Database) -> None:
        self._folder = folder
        self._database = database

    def write_full(self, tiles: Iterable[FullTile]) -> None:
        """Write tiles that have become full and drop their partial forms."""
        for full in tiles:
            tile = Tile(full.level, full.index)
            self._write(tile.path, b"".join(full.hashes))
            self._drop_partial(tile.path)
            if full.entries:
                self._write(tile.bundle_path, encode_bundle(full.entries))
                self._drop_partial(tile.bundle_path)

    def write_partial(self, size: int) -> None:
        """Write the partial tiles of a checkpoint of `size` entries."""
        for tile in partial_tiles(size):
            for path, data in self._contents(tile):
                self._write(path, data)

    def write_checkpoint(self, note: bytes) -> None:
        """Write the signed head durably; every tile it needs must be written before."""
        make_folder(self._folder)
        write_atomic(self._folder / CHECKPOINT, note)

    def read_checkpoint(self) -> bytes | None:
        """Return the checkpoint file, or None if there is none that can be read."""
        try:
            return read_bytes(self._folder / CHECKPOINT, limit=MAX_CHECKPOINT)
        except NotFound:
            return None
        except (Damaged, BadInput):
            return b""

    def differing(self, size: int, published: int) -> list[str]:
        """Return the paths of files that are missing or not what the database says.

        Parameters
        ----------
        size
            Entries in the log: its full tiles are looked at.
        published
            Size of the last checkpoint: its partial tiles are looked at.
        """
        found = []
        level = 0
        while count := full_tiles(level, size):
            query = "SELECT idx, digest, bundle FROM tiles WHERE level = ? AND idx < ?"
            for index, digest, bundle in self._database.rows(query, level, count):
                tile = Tile(level, index)
                if not self._holds(tile.path, digest):
                    found.append(tile.path)
                if level == 0 and not self._holds(tile.bundle_path, bundle):
                    found.append(tile.bundle_path)
            level += 1
        for tile in self._partial(size, published):
            found += [
                path
                for path, data in self._contents(tile)
                if not self._holds(path, sha256(data).digest())
            ]
        return found

    def repair(self, size: int, published: int) -> list[str]:
        """Write again what :meth:`differing` finds; returns its paths."""
        found = set(self.differing(size, published))
        for tile in partial_tiles(published):
            if tile.index < full_tiles(tile.level, size):
                # A crash may leave a torn partial form beside the full tile, hiding it.
                self._drop_partial(Tile(tile.level, tile.index).path)
                self._drop_partial(Tile(tile.level, tile.index).bundle_path)
        if not found:
            return []
        level = 0
        while count := full_tiles(level, size):
            for index in range(count):
                self._rewrite(Tile(level, index), found)
            level += 1
        for tile in self._partial(size, published):
            self._rewrite(tile, found)
        return sorted(found)

    def _rewrite(self, tile: Tile, wanted: set[str]) -> None:
        if tile.path in wanted or (tile.level == 0 and tile.bundle_path in wanted):
            for path, data in self._contents(tile):
                self._write(path, data)

    def _partial(self, size: int, published: int) -> list[Tile]:
        # A tile that has become full since the checkpoint stands there as a full one.
        return [t for t in partial_tiles(published) if t.index >= full_tiles(t.level, size)]

    def _contents(self, tile: Tile) -> Sequence[tuple[str, bytes]]:
        row = self._database.row(tile.level, tile.index, 0, tile.width)
        files = [(tile.path, b"".join(row))]
        if tile.level == 0:
            first = tile.index * WIDTH
            entries = self._database.entries(first, first + tile.width)
            files.append((tile.bundle_path, encode_bundle(entries)))
        return files

    def _holds(self, path: str, digest: bytes) -> bool:
        try:
            data = read_bytes(self._folder / path, limit=_MAX_FILE)
        except (NotFound, Damaged, BadInput):
            return False
        return sha256(data).digest() == digest

    def _write(self, path: str, data: bytes) -> None:
        target = self._folder / path
        try:
            # Not durable one by one: opening compares each with the database.
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if target.is_dir():
                shutil.rmtree(target)
        except OSError as error:
            raise Unavailable(f"cannot write {target}: {error.strerror}") from error
        write_atomic(target, data, durable=False)

    def _drop_partial(self, path: str) -> None:
        with contextlib.suppress(OSError):
            shutil.rmtree(self._folder / f"{path}.p")
