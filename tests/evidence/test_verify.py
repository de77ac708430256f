"""Reports: what is proved, what is somebody's word, and how differences are told."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import pytest
from tests.evidence.factory import FakeLedger, Story

from usufruct.errors import LedgerUnreachable, Mismatch, VerificationError
from usufruct.evidence.bundle import Bundle
from usufruct.evidence.claims import VersionClaim
from usufruct.evidence.gather import build_bundle
from usufruct.evidence.report import Compared, Grade, plain
from usufruct.evidence.verify import verify_bundle

Anchored = tuple[Story, FakeLedger]


@pytest.mark.parametrize("kind", ["dataset", "version", "file", "row", "prediction"])
@pytest.mark.parametrize("manifest", [True, False])
def test_bundles_are_canonical_and_hold(anchored: Anchored, kind: str, manifest: bool) -> None:
    story, ledger = anchored
    bundle = story.bundle(kind, manifest=manifest)
    data = bundle.to_bytes()
    assert Bundle.from_bytes(data) == bundle
    report = verify_bundle(data, confirm=ledger)
    assert report.ok
    assert report == verify_bundle(bundle, confirm=ledger)
    json.dumps(report.as_dict(), allow_nan=False)
    report.require()


def test_walk_of_a_prediction(anchored: Anchored) -> None:
    story, _ = anchored
    report = verify_bundle(story.bundle("prediction"))
    order = list(dict.fromkeys(step.statement for step in report.steps if step.statement))
    names = [
        "prediction",
        "model",
        "run",
        "draft",
        "ours",
        "theirs",
        "round 3",
        "round 2",
        "round 1",
    ]
    assert order == [story.digests[name] for name in names]
    assert (report.claim, report.asset) == ("prediction", story.versions["model"].asset)
    assert report.owner == story.builder.address
    cosigned = [step for step in report.steps if step.subject == "round 2"]
    assert [step.grade for step in cosigned] == [Grade.ATTESTED, Grade.ANCHORED]
    assert [name.split()[0] for name in cosigned[0].by] == ["Builder", "Hospital"]
    proved = [step.claim for step in report.steps if step.grade is Grade.PROVED]
    assert "its output is the one signed for" in proved
    assert "each begins with the state in which the one before ended" in proved


def test_content_is_proved_only_by_bytes(anchored: Anchored) -> None:
    story, _ = anchored
    bundle = story.bundle("version")

    def of_content(report: object) -> dict[str | None, Grade]:
        steps = verify_bundle(bundle, content=report).steps  # type: ignore[arg-type]
        return {s.statement: s.grade for s in steps if s.claim == "content is what was published"}

    ours, theirs = story.versions["ours"].content_root, story.versions["theirs"].content_root
    assert set(of_content({}).values()) == {Grade.ATTESTED}
    calls: list[int] = []

    def good() -> tuple[Mismatch, ...]:
        calls.append(1)
        return ()

    found = of_content({ours: good, theirs: []})
    assert (found[story.digests["ours"]], found[story.digests["model"]]) == (
        Grade.PROVED,
        Grade.ATTESTED,
    )
    assert calls == [1]
    bad = Mismatch("changed", file="rows.csv", chunk=0, row=3, line=3)
    report = verify_bundle(bundle, content={ours: [bad]})
    assert not report.ok
    assert report.failed == (replace(bad, party=report.failed[0].party),)
    assert (report.failed[0].party or "").startswith("Hospital")
    with pytest.raises(VerificationError) as caught:
        report.require()
    assert caught.value.mismatches[0].row == 3


def test_a_sample_proves_nothing(anchored: Anchored) -> None:
    story, _ = anchored
    ours = story.versions["ours"].content_root
    read = Compared((), whole=False, detail="3 of 900 chunks read")
    report = verify_bundle(story.bundle("version"), content={ours: lambda: read})
    (step,) = [s for s in report.steps if s.detail == "3 of 900 chunks read"]
    assert (step.grade, step.claim) == (Grade.ATTESTED, "content is what was published")
    assert report.ok
    bad = Compared((Mismatch("changed", file="rows.csv"),), whole=False)
    assert not verify_bundle(story.bundle("version"), content={ours: bad}).ok


def test_content_of_no_version_is_no_comfort(anchored: Anchored) -> None:
    report = verify_bundle(anchored[0].bundle("row"), content={"0" * 64: ()})
    assert [m.what for m in report.failed] == ["unrelated"]


def test_errors_of_the_ledger_pass_through(anchored: Anchored) -> None:
    class Down(FakeLedger):
        def party_keys(self, address: str) -> tuple[bytes, bytes, int] | None:
            raise LedgerUnreachable("gone")

    with pytest.raises(LedgerUnreachable):
        verify_bundle(anchored[0].bundle("row"), confirm=Down())


def test_row_and_file_steps(anchored: Anchored) -> None:
    story, _ = anchored
    row = [s for s in verify_bundle(story.bundle("row")).steps if s.grade is Grade.PROVED]
    (said,) = [step for step in row if step.claim == "contains row 3 of 'rows.csv'"]
    assert said.detail == json.dumps(story.rows[2])
    file = [s for s in verify_bundle(story.bundle("file")).steps if s.grade is Grade.PROVED]
    assert "contains 'rows.csv'" in [step.claim for step in file]


def test_hostile_titles_do_not_reach_the_terminal(story: Story) -> None:
    nasty = "\x1b[31mred\u202e\n" + "x" * 500
    said = replace(story.versions["ours"], title=nasty, version=2)
    claim = VersionClaim(story.hospital.say(said.payload()))
    report = verify_bundle(build_bundle(claim, story.sources()))
    text = json.dumps(report.as_dict(), ensure_ascii=False)
    assert all(character.isprintable() for step in report.steps for character in step.subject)
    assert "\x1b" not in text
    assert len(plain(nasty)) == 80


def test_verifying_is_light() -> None:
    """Verification needs nothing of the ledger's, the node's or the learner's parts."""
    code = "import sys, usufruct.evidence.verify; print(*sorted(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(run.stdout.split())
    assert not loaded & {"eth_account", "eth_abi", "coincurve", "httpx", "numpy"}
