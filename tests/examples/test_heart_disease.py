from __future__ import annotations

import hashlib
import subprocess
import sys

from usufruct.examples import heart_disease

MD5 = {
    "processed.cleveland.data": "2d91a8ff69cfd9616aa47b59d6f843db",
    "processed.hungarian.data": "22e96bee155b5973568101c93b3705f6",
    "processed.switzerland.data": "9a87f7577310b3917730d06ba9349e20",
    "processed.va.data": "4249d03ca7711e84f4444768c9426170",
    "heart-disease.names": "1862e1452e17602397e049dbd5900b3c",
}


def test_files_are_the_originals_byte_for_byte():
    found = heart_disease()
    assert list(found) == ["cleveland", "hungarian", "switzerland", "va"]
    folder = found["va"].parent
    assert {p.name for p in found.values()} < set(MD5)
    for name, digest in MD5.items():
        assert hashlib.md5((folder / name).read_bytes()).hexdigest() == digest
    assert [len(p.read_bytes().splitlines()) for p in found.values()] == [303, 294, 123, 200]


def test_licence_note_names_sums_and_investigators():
    note = (heart_disease()["va"].parent / "README.md").read_text()
    for word in ("CC BY 4.0", "10.24432/C52P4X", "Janosi", "Steinbrunn", "Pfisterer", "Detrano"):
        assert word in note
    for name, digest in MD5.items():
        assert f"{digest}  {name}" in note


def test_needs_no_extra():
    code = (
        "import sys; from usufruct.examples import heart_disease; heart_disease(); "
        "print([m for m in ('numpy', 'httpx', 'cryptography') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
