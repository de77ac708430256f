"""Lies told properly: signed, logged and bundled by a party with good keys, refused by the walk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.evidence.factory import WHEN, Home, Story, digest, version

from usufruct.crypto import dsse
from usufruct.errors import BadInput, NotFound, VerificationError
from usufruct.evidence.bundle import Bundle
from usufruct.evidence.claims import Claim, Opening, PredictionClaim, VersionClaim
from usufruct.evidence.gather import OwnLog, build_bundle, sources_of
from usufruct.evidence.predicates import Draft, Version
from usufruct.evidence.provenance import Run
from usufruct.evidence.statements import read_payload, sign_statement, statement_digest
from usufruct.evidence.verify import verify_bundle
from usufruct.evidence.work import Prediction, Round
from usufruct.types import AssetKind, Digest


def read(story: Story, kind: type[Version | Run | Round | Draft], name: str) -> object:
    for entry in story.builder.log.entries():
        payload = dsse.Envelope.from_bytes(entry.envelope or b"").payload
        if statement_digest(payload) == story.digests[name]:
            return kind.read(read_payload(payload))
    raise AssertionError(name)


def run_of(story: Story) -> Run:
    run = read(story, Run, "run")
    assert isinstance(run, Run)
    return run


def round_of(story: Story, number: int) -> Round:
    this = read(story, Round, f"round {number}")
    assert isinstance(this, Round)
    return this


def publish(story: Story, run: Run, **changes: object) -> Claim:
    """Have the builder publish a model that names a run, and claim it."""
    made = story.builder.say(run.payload())
    model = replace(story.versions["model"], run=made, title="Forged")
    model = replace(model, **changes)  # type: ignore[arg-type]
    return VersionClaim(story.builder.say(model.payload()), lineage=True)


def refuse(story: Story, claim: Claim, why: str) -> None:
    with pytest.raises(VerificationError, match=why):
        build_bundle(claim, story.sources())


def test_the_tools_of_this_file_make_good_bundles(story: Story) -> None:
    assert verify_bundle(build_bundle(publish(story, run_of(story)), story.sources())).ok


def test_anothers_asset(story: Story) -> None:
    mine = replace(story.versions["theirs"], asset=story.versions["ours"].asset)
    refuse(story, VersionClaim(story.builder.say(mine.payload())), "does not belong")


def test_speaking_for_another_owner(story: Story) -> None:
    said = story.builder.say(replace(story.versions["ours"], title="Mine").payload())
    refuse(story, VersionClaim(said), "speaks for")


def test_run_of_another_builder(story: Story) -> None:
    run = replace(run_of(story), builder=story.hospital.address)
    refuse(story, publish(story, run), "speaks for the runs")


def test_run_made_something_else(story: Story) -> None:
    run = replace(run_of(story), content_root=digest("other weights"))
    refuse(story, publish(story, run), "something else")


def test_version_and_run_name_other_inputs(story: Story) -> None:
    run = run_of(story)
    refuse(story, publish(story, replace(run, inputs=run.inputs[:1])), "different inputs")
    refuse(story, publish(story, run, inputs=run.inputs[:1]), "different inputs")


def test_input_that_the_draft_lacks(story: Story) -> None:
    extra = version(story.builder.address, story.manifests["theirs"], "Late")
    late = extra.reference(story.builder.say(extra.payload()))
    run = replace(run_of(story), inputs=(*run_of(story).inputs, late))
    refuse(story, publish(story, run, inputs=run.inputs), "draft does not name")


@pytest.mark.parametrize("name", ["version", "content_root", "asset"])
def test_reference_that_lies(story: Story, name: str) -> None:
    run = run_of(story)
    lie: object = 2 if name == "version" else digest("x")
    first = replace(run.inputs[0], **{name: lie})  # type: ignore[arg-type]
    inputs = (first, run.inputs[1])
    refuse(story, publish(story, replace(run, inputs=inputs), inputs=inputs), "another version")


def test_reference_to_something_else(story: Story) -> None:
    run = run_of(story)
    inputs = (replace(run.inputs[0], statement=story.digests["draft"]), run.inputs[1])
    claim = publish(story, replace(run, inputs=inputs), inputs=inputs)
    refuse(story, claim, "not a version")
    refuse(story, publish(story, replace(run, draft=story.digests["round 1"])), "not a draft")
    refuse(story, publish(story, replace(run, last_round=story.digests["draft"])), "not a round")


def test_draft_of_another_asset(story: Story) -> None:
    draft = read(story, Draft, "draft")
    assert isinstance(draft, Draft)
    other = version(story.builder.address, story.manifests["model"], "Else", kind=AssetKind.MODEL)
    said = story.builder.say(replace(draft, asset=other.asset, salt=other.salt).payload())
    run = replace(run_of(story), draft=said, last_round=None)
    refuse(story, publish(story, run), "draft of another asset")
    # rounds of the old draft under the new one
    run = replace(run_of(story), draft=said)
    refuse(story, publish(story, run), "draft")


Change = Callable[[Round, Story], Round]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda r, s: replace(r, number=3), "does not follow"),
        (lambda r, s: replace(r, before=digest("other")), "another state"),
        (lambda r, s: replace(r, previous=None), "round 1"),
        (lambda r, s: replace(r, number=1), "round 1"),
        (lambda r, s: replace(r, previous=s.digests["draft"]), "not a round"),
        (lambda r, s: replace(r, draft=s.digests["ours"]), "drafts"),
        (lambda r, s: replace(r, members=r.members * 2), "twice"),
        (
            lambda r, s: replace(r, members=(r.members[0], replace(r.members[1], rows=2**50))),
            "whose data has 5",
        ),
        (
            lambda r, s: replace(r, members=(replace(r.members[0], party=s.builder.address),)),
            "draft lacks",
        ),
    ],
)
def test_rounds_that_lie(story: Story, change: Change, why: str) -> None:
    said = story.builder.say(change(round_of(story, 2), story).payload())
    refuse(story, publish(story, replace(run_of(story), last_round=said)), why)


def test_round_with_data_outside_the_draft(story: Story) -> None:
    extra = version(story.hospital.address, story.manifests["theirs"], "Unagreed")
    late = extra.reference(story.hospital.say(extra.payload()))
    this = round_of(story, 2)
    members = (replace(this.members[0], dataset=late), this.members[1])
    said = story.builder.say(replace(this, members=members).payload())
    refuse(story, publish(story, replace(run_of(story), last_round=said)), "draft lacks")


def test_round_cosigned_by_a_stranger(story: Story, tmp_path: object) -> None:
    stranger = Home.make(story.builder.log.static_folder.parent.parent, "Stranger")
    try:
        this = replace(round_of(story, 2), metadata={"x": "y"})
        said = story.builder.say(this.payload(), (stranger.identity,))
        claim = publish(story, replace(run_of(story), last_round=said))
        refuse(story, claim, "stranger")
    finally:
        stranger.log.close()


def test_only_rounds_are_cosigned(story: Story) -> None:
    said = replace(story.versions["theirs"], title="Both")
    both = story.builder.say(said.payload(), (story.hospital.identity,))
    refuse(story, VersionClaim(both), "stranger")


def test_unsigned_by_the_logs_owner(story: Story) -> None:
    said = replace(story.versions["theirs"], title="Put in").payload()
    story.builder.append(sign_statement(said, (story.hospital.identity,)))
    refuse(story, VersionClaim(statement_digest(said)), "stranger")


def test_two_versions_of_one_number(story: Story) -> None:
    """An owner shows two datasets under one version number within one lineage."""
    run = run_of(story)
    twin = replace(story.versions["theirs"], title="Twin", content_root=digest("twin"))
    other = twin.reference(story.builder.say(twin.payload()))
    draft = read(story, Draft, "draft")
    assert isinstance(draft, Draft)
    inputs = (*run.inputs, other)
    said = story.builder.say(replace(draft, parents=inputs).payload())
    run = replace(run, draft=said, last_round=None, inputs=inputs)
    refuse(story, publish(story, run, inputs=inputs), "published twice")


def test_referring_to_what_was_logged_later(story: Story) -> None:
    run = replace(run_of(story), invocation="late")
    made = statement_digest(run.payload())
    model = replace(story.versions["model"], run=made, title="Early")
    claim = VersionClaim(story.builder.say(model.payload()), lineage=True)
    with pytest.raises(NotFound):
        build_bundle(claim, story.sources())
    story.builder.say(run.payload())
    refuse(story, claim, "logged later")


def test_prediction_of_what_is_no_model(story: Story) -> None:
    said = Prediction(story.reference("ours"), digest("i"), digest("o"), WHEN)
    refuse(story, PredictionClaim(story.builder.say(said.payload())), "not a model")


def test_prediction_with_other_values(story: Story) -> None:
    wrong = Opening({"risk": "0.01"}, story.openings["output"].salt)
    claim = PredictionClaim(story.digests["prediction"], None, wrong)
    refuse(story, claim, "output")
    assert verify_bundle(build_bundle(PredictionClaim(claim.statement), story.sources())).ok


def test_claims_of_the_wrong_kind(story: Story) -> None:
    refuse(story, VersionClaim(story.digests["draft"]), "not a version")
    refuse(story, PredictionClaim(story.digests["ours"]), "not a prediction")
    refuse(story, VersionClaim(story.digests["ours"], lineage=True), "lineage")
    with pytest.raises(NotFound):
        build_bundle(VersionClaim(digest("nowhere")), story.sources())


def test_manifest_of_another_version(story: Story) -> None:
    claim = VersionClaim(story.digests["ours"])
    with pytest.raises(VerificationError, match="content root"):
        build_bundle(claim, story.sources(), manifest=story.manifests["theirs"])
    lying = replace(story.versions["ours"], size=1, title="Small")
    claim = VersionClaim(story.hospital.say(lying.payload()))
    with pytest.raises(VerificationError, match="count differently"):
        build_bundle(claim, story.sources(), manifest=story.manifests["ours"])


def test_bundles_serve_as_sources(story: Story) -> None:
    """The builder knows the hospital's log from the hospital's own evidence only."""
    given = sources_of(story.bundle("dataset"))
    bundle = build_bundle(
        PredictionClaim(story.digests["prediction"]), [story.builder.source(), *given]
    )
    assert verify_bundle(bundle.to_bytes()).ok
    with pytest.raises(NotFound):
        build_bundle(bundle.claim, [story.builder.source()])
    with pytest.raises(VerificationError):
        sources_of(replace(bundle, claim=VersionClaim(Digest("0" * 64))))


def test_unneeded_statements_are_refused(story: Story) -> None:
    small, large = story.bundle("dataset"), story.bundle("version")
    with pytest.raises(VerificationError, match="does not need"):
        verify_bundle(replace(large, claim=small.claim))
    source = story.hospital.source()
    extra = [source.statement(d) for d in (*source.key_statements, story.digests["ours"])]
    last = story.hospital.log.get(2)
    envelope = dsse.Envelope.from_bytes(last.envelope or b"")
    more = source.statement(statement_digest(envelope.payload))
    items = tuple(item for item in (*extra, more) if item is not None)
    with pytest.raises(VerificationError, match="does not need"):
        verify_bundle(Bundle(small.claim, items, (source.head,)))


def test_two_parties_with_one_signing_key_or_log(story: Story) -> None:
    bundle = story.bundle("version")
    with pytest.raises(BadInput):
        replace(bundle, logs=bundle.logs[::-1])
    with pytest.raises(BadInput):
        replace(bundle, statements=bundle.statements[::-1])
    with pytest.raises(BadInput):
        replace(bundle, logs=bundle.logs[:1])
    swapped = tuple(
        replace(head, checkpoint=other.checkpoint)
        for head, other in zip(bundle.logs, bundle.logs[::-1], strict=True)
    )
    with pytest.raises(VerificationError):
        verify_bundle(replace(bundle, logs=swapped))


def test_own_log_reads_erased_and_foreign_entries(story: Story) -> None:
    story.builder.append(dsse.sign("text/plain", b"hello", (story.builder.identity,)))
    index = story.builder.append(dsse.sign("text/plain", b"bye", (story.builder.identity,)))
    story.builder.log.erase(index)
    assert isinstance(story.builder.source(), OwnLog)
    assert verify_bundle(story.bundle("prediction")).ok


def test_one_round_committed_twice(story: Story) -> None:
    """A coordinator shows two second rounds of one federation, each behind another version."""
    first = story.reference("model")
    said = story.builder.say(replace(round_of(story, 2), metadata={"fork": "yes"}).payload())
    run = replace(run_of(story), last_round=said)
    made = replace(story.versions["model"], run=story.builder.say(run.payload()), version=2)
    second = made.reference(story.builder.say(made.payload()))
    both = version(
        story.builder.address,
        story.manifests["theirs"],
        "Both",
        kind=AssetKind.MODEL,
        inputs=(first, second),
    )
    claim = VersionClaim(story.builder.say(both.payload()), lineage=True)
    refuse(story, claim, "committed twice")
    one = replace(both, inputs=(first,), version=2)
    claim = VersionClaim(story.builder.say(one.payload()), lineage=True)
    assert verify_bundle(build_bundle(claim, story.sources())).ok


def test_a_statement_logged_twice_counts_once(story: Story) -> None:
    small, log = story.bundle("dataset"), story.hospital.log
    story.hospital.append(small.statements[1].envelope)
    index = log.size - 1
    claim, source = small.claim, story.hospital.source()
    good = build_bundle(claim, [source])
    assert verify_bundle(good).ok
    salt, nodes = log.get(index).salt or b"", tuple(log.inclusion_proof(index))
    again = replace(good.statements[1], index=index, salt=salt, nodes=nodes)
    with pytest.raises(VerificationError, match="twice"):
        verify_bundle(replace(good, statements=(*good.statements, again)))
    # either entry alone is good evidence
    assert verify_bundle(replace(good, statements=(good.statements[0], again))).ok
