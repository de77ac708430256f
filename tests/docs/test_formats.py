"""docs/reference/formats.md suffices: a verifier written from it agrees with ours."""

import pytest
from tests.docs import independent

import usufruct


@pytest.mark.parametrize("algorithm", ["blake3", "sha256"])
def test_an_independent_verifier(tmp_path, algorithm):
    home, folder = tmp_path / "home", tmp_path / "data"
    usufruct.create(home, name="St Mary", passphrase=lambda: "secret")
    folder.mkdir()
    data = {
        "a/readings.csv": b'id,note\n1,"says ""hm"", then\nmore"\n2, caf\xc3\xa9 \n\n3,\n',
        "big.bin": bytes(range(256)) * 9000,
        "empty": b"",
    }
    (folder / "a").mkdir()
    for path, content in data.items():
        (folder / path).write_bytes(content)
    with usufruct.open(home, passphrase=lambda: "secret") as ws:
        made = ws.publish(folder, title="Readings", algorithm=algorithm)
        ws.prove("Readings", tmp_path / "row.json", file="a/readings.csv", row=2)
    with open(made.evidence, "rb") as file:
        evidence = file.read()
    independent.verify(evidence, data)
    row = independent.verify((tmp_path / "row.json").read_bytes())
    assert row == (2, ["1", 'says "hm", then\nmore'])
    with pytest.raises(AssertionError):
        independent.verify(evidence, data | {"empty": b"x"})
    with pytest.raises(AssertionError):
        independent.verify(evidence, data | {"a/readings.csv": data["a/readings.csv"] + b"4,\n"})
