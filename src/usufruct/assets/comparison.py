"""What is there against what was published: names first, then files that turn out to differ."""

from __future__ import annotations

from dataclasses import replace

from usufruct.assets.cache import DigestCache
from usufruct.assets.hashing import Hashed, changing, hash_files
from usufruct.assets.locate import Change, locate
from usufruct.assets.walk import Tree
from usufruct.errors import BadInput, Mismatch
from usufruct.evidence.content import Manifest
from usufruct.ports import Progress


class Comparison:
    """The state of one check: which files there are, and what was found so far.

    Parameters
    ----------
    tree
        What is there.
    manifest
        What should be.
    found
        Mismatches found while listing the tree; more are added.
    """

    def __init__(
        self,
        tree: Tree,
        manifest: Manifest,
        found: list[Mismatch],
        cache: DigestCache | None,
        progress: Progress,
    ) -> None:
        self.tree = tree
        self.manifest = manifest
        self.cache = cache
        self.progress = progress
        self.found = found
        self.notes: list[str] = []
        # paths on disk that are looked at, and the number of the manifest entry of each
        self.paths: list[str] = []
        self.numbers: list[int] = []
        self.twins: dict[tuple[int, bytes], str] | None = None
        self.bytes_read = self.files_cached = self.chunks_read = 0

    def compare_names(self) -> None:
        """Note files missing and added, and set out those to be read."""
        files = self.manifest.files
        here = self.tree.paths
        if not self.tree.is_folder and len(files) == 1:
            self.paths, self.numbers = here, [0]
            if here[0] != files[0].path:
                self.notes.append(f"published as '{files[0].path}', named '{here[0]}' here")
            return
        published = [entry.path for entry in files]
        if here == published:
            self.paths, self.numbers = here, list(range(len(files)))
            return
        numbers = {name: number for number, name in enumerate(published)}
        self.paths = [name for name in here if name in numbers]
        self.numbers = [numbers[name] for name in self.paths]
        excused = {problem.file for problem in self.found}
        present = set(here)
        for name in published:
            if name not in present and not _is_below(name, excused):
                self.add("missing", name, detail="published, but not here")
        for name in here:
            if name not in numbers:
                self.add("added", name, detail="here, but not in the publication")

    def failed(self, index: int, error: BadInput) -> None:
        """Note that a file could not be read."""
        name = self.manifest.files[self.numbers[index]].path
        self.add("unreadable", name, detail=error.message)

    def locate(self, one: Hashed) -> None:
        """Note where a file that was read differs."""
        number = self.numbers[one.number]
        entry = self.manifest.files[number]
        full = self.tree.prefix + self.paths[one.number]
        table = entry.row_leaves is not None
        salts = self.manifest.salts(number) if table else None
        change = Change(full, entry, salts, one.size, one.digests, self.tree.follow_links)
        twin = self._twin(one)
        try:
            places = locate(change)
        except BadInput as error:
            self.failed(one.number, error)
            return
        if twin is not None:
            places = [replace(places[0], detail=f"it now has the content of '{twin}'")]
        self.found.extend(places)

    def _twin(self, one: Hashed) -> str | None:
        if self.twins is None:
            self.twins = {
                (entry.size, entry.chunk_digests): entry.path
                for entry in reversed(self.manifest.files)
            }
        return self.twins.get((one.size, one.digests)) if one.size else None

    def add(
        self, what: str, path: str, *, row: int | None = None, line: int | None = None, detail: str
    ) -> None:
        """Note a mismatch."""
        self.found.append(Mismatch(what, file=path, row=row, line=line, detail=detail))

    def read_one(self, index: int) -> None:
        """Read a file that is known to differ whole, to say where."""
        for one in hash_files(
            self.tree.prefix,
            [self.paths[index]],
            algorithm=self.manifest.algorithm,
            follow_links=self.tree.follow_links,
            failed=lambda _, error: self.failed(index, error),
        ):
            self.bytes_read += one.size
            entry = self.manifest.files[self.numbers[index]]
            if one.digests != entry.chunk_digests or one.size != entry.size:
                self.locate(one._replace(number=index))
            else:
                self.failed(index, changing(self.tree.prefix + self.paths[index]))


def _is_below(name: str, folders: set[str | None]) -> bool:
    if not folders:
        return False
    if "." in folders or name in folders:
        return True
    parts = name.split("/")
    return any("/".join(parts[:depth]) in folders for depth in range(1, len(parts)))
