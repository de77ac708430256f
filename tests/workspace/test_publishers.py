"""Evidence exchanged, cut or signed by somebody else never makes changed data verify."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest
from tests.workspace.homes import ROWS, passphrase

from usufruct.crypto.keystore import new_identity
from usufruct.errors import AlreadyExists, BadInput, Damaged, VerificationError
from usufruct.evidence.bundle import Bundle
from usufruct.workspace import open_home, verify
from usufruct.workspace.home import Home


@pytest.fixture
def folder(plain_home: Path, tmp_path: Path) -> Path:
    """Return a folder of data that the plain home has published, with the home beside it."""
    shutil.copytree(plain_home, tmp_path / "home")
    data = tmp_path / "data"
    data.mkdir()
    (data / "people.csv").write_text(ROWS)
    with open_home(tmp_path / "home", passphrase=passphrase) as ws:
        ws.publish(data, title="people")
        ws.prove("people", tmp_path / "people.json")
        ws.prove("people", tmp_path / "row.json", file="people.csv", row=3)
    return data


def _mallory(folder: Path, name: str) -> Path:
    """Make a home whose owner calls himself `name`, and let it publish the changed data."""
    place = folder.parent / "mallory"
    identity, _ = new_identity(name)
    with Home.create(place) as made:
        made.add(identity, "x")
    with open_home(place, identity=identity) as ws:
        ws.publish(folder, title="people")
    return place


def _change(folder: Path) -> None:
    (folder / "people.csv").write_text(ROWS.replace("person 7,", "person 8,"))


def test_evidence_without_its_manifest_does_not_hide_a_change(folder: Path) -> None:
    evidence = folder / ".usufruct" / "evidence.json"
    whole = Bundle.from_bytes(evidence.read_bytes())
    _change(folder)
    evidence.write_bytes(dataclasses.replace(whole, manifest=None).to_bytes())
    with pytest.raises(VerificationError) as failed:
        verify(folder)
    assert failed.value.mismatches[0].what == "evidence"


@pytest.mark.parametrize("other", ["people.json", "row.json"])
def test_evidence_exchanged_for_another_bundle_does_not_hide_a_change(
    folder: Path, other: str
) -> None:
    _change(folder)
    shutil.copyfile(folder.parent / other, folder / ".usufruct" / "evidence.json")
    with pytest.raises(VerificationError):
        verify(folder)


def test_a_file_replaced_by_a_bundle_is_still_data(folder: Path) -> None:
    target = folder.parent / "one.csv"
    target.write_text(ROWS)
    with open_home(folder.parent / "home", passphrase=passphrase) as ws:
        ws.publish(target, title="one")
    shutil.copyfile(folder.parent / "people.json", target)
    with pytest.raises(VerificationError):
        verify(target)


def test_data_with_cut_evidence_is_no_proof_of_a_parent(folder: Path) -> None:
    evidence = folder / ".usufruct" / "evidence.json"
    whole = Bundle.from_bytes(evidence.read_bytes())
    evidence.write_bytes(dataclasses.replace(whole, manifest=None).to_bytes())
    with pytest.raises(VerificationError):
        verify(folder.parent / "people.json", data=[folder])


def test_who_published_is_always_told_and_can_be_insisted_on(folder: Path) -> None:
    home = Home.open(folder.parent / "home").public()
    found = verify(folder)
    assert (found.publisher.address, found.publisher.expected) == (home.address, False)
    assert verify(folder, by=[home.address.upper().replace("0X", "0x")]).publisher.expected
    assert verify(folder, by=[home.name], home=folder.parent / "home").publisher.expected
    _change(folder)
    shutil.rmtree(folder / ".usufruct")
    mallory = _mallory(folder, home.name)
    again = verify(folder)
    assert again.publisher.name == home.name and again.publisher.address != home.address
    for by in ([home.address], [home.name]):
        with pytest.raises(VerificationError) as failed:
            verify(folder, by=by, home=folder.parent / "home")
        assert failed.value.mismatches[0].what == "publisher"
    with pytest.raises(BadInput, match="knows no party"):
        verify(folder, by=["Somebody"], home=mallory)


def test_a_sample_is_never_called_proof(folder: Path) -> None:
    found = verify(folder, sample=1)
    about = [s for s in found.steps if s.claim == "content is what was published"]
    assert [str(step.grade) for step in about] == ["attested"]


def test_a_publish_that_names_nothing_does_not_replace_evidence(folder: Path) -> None:
    before = (folder / ".usufruct" / "evidence.json").read_bytes()
    with open_home(str(folder.parent / "home"), passphrase=passphrase) as ws:
        with pytest.raises(AlreadyExists, match="'people'"):
            ws.publish(folder)
        assert (folder / ".usufruct" / "evidence.json").read_bytes() == before
        assert len(ws.assets()) == 1
        ws.publish(folder, update="people")
        ws.publish(folder, title="people again")
    assert verify(folder).report.version == 1


def test_a_broken_home_is_no_hindrance_to_evidence_beside_the_data(folder: Path) -> None:
    broken = folder.parent / "broken"
    broken.mkdir()
    (broken / "home.json").write_bytes(b"{")
    assert verify(folder, home=broken).report.ok
    with pytest.raises(Damaged):
        verify(folder, home=broken, by=["Ada"])
