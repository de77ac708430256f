"""The main job, scene by scene, each party acting through its own home only."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from usufruct.crypto import canonical
from usufruct.demo import cast
from usufruct.demo.cast import HOSPITALS, Stage
from usufruct.errors import VerificationError
from usufruct.examples import heart_disease
from usufruct.types import Use
from usufruct.workspace import Workspace, create, open_home, verify
from usufruct.workspace.seats import Seat

FLAMBY = {"FedAvg": ".748", "best federated": ".785", "pooled training": ".795"}
"""FLamby's published accuracies on Fed-Heart-Disease, pooled over the four test sets."""

SPLITS = 10
MODEL = "heart disease risk"
LEARN_PRICE, ROYALTY = "10", "20%"
"""What a hospital asks of who learns from its file: test dollars, and a share of the income."""

MODEL_PRICE, PERIOD_PRICE = "50", "5"
"""What the builder asks for the model, and for 30 days of predictions, in test dollars."""

LEARN_TERMS = """Learning only, on the premises of the hospital, for one model.
No row leaves the hospital. The model's income is shared as the royalty says.
"""
MODEL_TERMS = """For use within the buyer's own clinic. Not a medical device: a demonstration.
The model may be run and its answers shown to patients. It may not be passed on.
"""
PATIENT = (
    "age,sex,cp,trestbps,chol,fbs,restecg,thalach,exang,oldpeak,slope,ca,thal\n"
    "54,1,4,140,239,0,0,160,1,1.2,?,?,?\n"
)


@dataclass(frozen=True, slots=True)
class Scene:
    """One step of the story, finished.

    Parameters
    ----------
    title, seconds
        What was done, and how long it took.
    lines
        What there is to see of it.
    """

    title: str
    seconds: float
    lines: tuple[str, ...]


@dataclass(slots=True)
class Outcome:
    """What the story came to."""

    folder: Path
    scenes: list[Scene] = field(default_factory=list)
    model: str = ""
    accuracy: dict[str, tuple[int, int]] = field(default_factory=dict)
    splits: tuple[float, ...] = ()
    tree: str = ""
    steps: tuple[Any, ...] = ()
    prediction: dict[str, Any] = field(default_factory=dict)
    income: dict[str, Any] = field(default_factory=dict)
    tampered: dict[str, Any] = field(default_factory=dict)
    commands: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def pooled(self) -> float:
        """Test accuracy over all hospitals' held-out rows."""
        correct, rows = (sum(pair[i] for pair in self.accuracy.values()) for i in (0, 1))
        return correct / rows

    def as_dict(self) -> dict[str, Any]:
        """Return plain data, for ``--json``."""
        return {
            "folder": str(self.folder),
            "seconds": round(self.seconds, 2),
            "scenes": [
                {"title": s.title, "seconds": round(s.seconds, 2), "lines": list(s.lines)}
                for s in self.scenes
            ],
            "model": self.model,
            "accuracy": {
                "pooled": f"{self.pooled:.3f}",
                "other_splits": [f"{value:.3f}" for value in self.splits],
                "hospitals": {n: {"correct": c, "rows": r} for n, (c, r) in self.accuracy.items()},
                "flamby": FLAMBY,
            },
            "verify": [step.as_dict() for step in self.steps],
            "prediction": self.prediction,
            "income": self.income,
            "tampered": self.tampered,
            "commands": list(self.commands),
        }


class Story:
    """Plays the story in `stage`.

    Parameters
    ----------
    begun, told
        Called with each scene's title as it begins, and with the scene as it ends.
    round_told
        Called with each round's number and pooled test accuracy.
    """

    def __init__(
        self,
        stage: Stage,
        begun: Callable[[str], None],
        told: Callable[[Scene], None],
        round_told: Callable[[int, float], None],
    ) -> None:
        self._stage = stage
        self._begun = begun
        self._told = told
        self._round_told = round_told
        self._out = Outcome(stage.folder)
        self._network = stage.folder / "network.json"
        self._data: dict[str, Path] = {}
        self._open = ExitStack()
        self._hospitals: dict[str, Workspace] = {}

    def play(self) -> Outcome:
        """Play all of it.

        Raises
        ------
        UsufructError
            Something did not work; that is never meant to happen here.
        """
        began = time.monotonic()
        with self._open:
            self._ledger()
            self._parties()
            self._datasets()
            builder = self._open.enter_context(self._home("builder"))
            self._draft(builder)
            self._train(builder)
            self._verify(builder)
            self._predict(builder)
            self._tamper()
            self._sell(builder)
            with self._home("clinic") as clinic, cast.node(self._stage, "builder") as node:
                self._buy(clinic, str(node["url"]))
                self._use(clinic)
            self._pay(builder)
            self._other_splits()
            self._out.tree = builder.lineage(MODEL).tree()
        self._out.commands = self._next()
        self._out.seconds = time.monotonic() - began
        return self._out

    @contextmanager
    def _scene(self, title: str) -> Iterator[list[str]]:
        began = time.monotonic()
        lines: list[str] = []
        self._begun(title)
        yield lines
        scene = Scene(title, time.monotonic() - began, tuple(lines))
        self._out.scenes.append(scene)
        self._told(scene)

    def _home(self, who: str) -> Workspace:
        return open_home(self._stage.home(who), passphrase=self._stage.passphrase)

    def _ledger(self) -> None:
        with self._scene("the operator starts a shared ledger") as lines:
            create(self._stage.home("operator"), name="operator", passphrase=self._stage.passphrase)
            said = self._open.enter_context(cast.ledger(self._stage, self._network))
            lines.append(f"chain {said['chain_id']} at {said['url']}, contracts deployed")
            lines.append(f"network file signed: {self._network}")

    def _parties(self) -> None:
        title = "four hospitals, a builder and a clinic join it by the network file"
        with self._scene(title) as lines:
            names = {**HOSPITALS, "builder": "Builder", "clinic": "Clinic"}
            for who, name in names.items():
                made = create(
                    self._stage.home(who),
                    name=name,
                    network=str(self._network),
                    passphrase=self._stage.passphrase,
                )
                lines.append(f"{name:<17} {made.identity.address}")

    def _datasets(self) -> None:
        title = "each hospital publishes its file, row by row, anchors, and offers it to learn from"
        with self._scene(title) as lines:
            files = heart_disease()
            for who, name in HOSPITALS.items():
                target = self._stage.data(who) / files[who].name
                shutil.copyfile(files[who], target)
                self._data[who] = target
                ws = self._open.enter_context(self._home(who))
                self._hospitals[who] = ws
                made = ws.publish(target, title=f"heart disease, {name}")
                anchor = ws.anchor()
                ws.prove(made.asset, self._stage.data(who) / "evidence.json")
                terms = self._stage.data(who) / "terms.txt"
                terms.write_text(LEARN_TERMS)
                offer = ws.market.offer(
                    made.asset, use=Use.LEARN, price=LEARN_PRICE, royalty=ROYALTY, terms=terms
                )
                lines.append(
                    f"{name:<17} {made.rows} rows, content root {made.content_root[:16]}…, "
                    f"block {anchor.block}"
                )
            lines.append(f"each offers: {offer.words}")

    def _draft(self, builder: Workspace) -> None:
        from usufruct.learn.heart import HEART_PLAN, HEART_SCHEMA

        title = "the builder buys four licences to learn, and announces a model with its parents"
        with self._scene(title) as lines:
            given = [builder.receive(self._stage.data(who) / "evidence.json") for who in HOSPITALS]
            lines.append(f"the faucet gives the builder {builder.market.faucet()['balance']} TUSD")
            for who, asset in zip(HOSPITALS, given, strict=True):
                terms = (self._stage.data(who) / "terms.txt").read_bytes()
                offer = builder.market.show(asset.id).offers[0]
                bought = builder.market.buy(offer.id, terms=terms)
                lines.append(
                    f"{HOSPITALS[who]:<17} licence {bought.licence[:8]}…{bought.licence[-4:]} for "
                    f"{bought.price_text}, one transaction, {bought.gas:,} gas"
                )
            draft = builder.draft(
                MODEL,
                parents=[asset.id for asset in given],
                terms={
                    "plan": canonical.dumps(HEART_PLAN.to_dict()).decode(),
                    "schema": canonical.dumps(HEART_SCHEMA.to_dict()).decode(),
                },
            )
            anchor = builder.anchor()
            lines.append(f"draft {draft.id[:16]}… with {len(given)} parents, block {anchor.block}")
            split = builder.market.split(MODEL)
            shares = ", ".join(f"{payee.name} {payee.share}" for payee in split.payees)
            lines.append(f"its income will be split: {shares}")

    def _train(self, builder: Workspace) -> None:
        from usufruct.learn import LocalParty
        from usufruct.learn.heart import HEART_PLAN, HEART_SCHEMA, hospital_tables

        title = (
            "they learn together: federated mean and sd, then averaging; no row leaves its party"
        )
        with self._scene(title) as lines:
            seats = []
            for who, (train, test) in hospital_tables(paths=self._data).items():
                ws = self._hospitals[who]
                party = LocalParty.from_table(HOSPITALS[who], train, test=test, signer=ws.identity)
                dataset = ws.reference(f"heart disease, {HOSPITALS[who]}")
                memory = ws.home.path / "runs" / f"{builder.asset(MODEL).id[:16]}.json"
                seats.append(Seat(party, ws.identity, dataset, memory))

            def told(number: int, metrics: dict[str, Any]) -> None:
                self._round_told(number, float(metrics["test"]["pooled"]["accuracy"]))

            made = builder.train(MODEL, seats, HEART_PLAN, schema=HEART_SCHEMA, on_round=told)
            anchor = builder.anchor()
            self._out.model = made.published.asset
            last: Any = made.metrics[-1]["test"]
            self._out.accuracy = {
                part["party"]: (part["correct"], part["rows"]) for part in last["parties"]
            }
            lines.append(
                f"{len(made.metrics)} rounds, each a statement signed by the builder and by the "
                f"four hospitals, who computed it again"
            )
            lines.append(
                f"model content root {made.published.content_root[:16]}…, block {anchor.block}"
            )

    def _verify(self, builder: Workspace) -> None:
        with self._scene("anybody verifies: model, rounds, datasets, rows") as lines:
            bundle = self._stage.data("builder") / "model.json"
            builder.prove(MODEL, bundle)
            model = builder.asset(MODEL).source
            found = verify(
                bundle,
                network=self._network,
                data=[*self._data.values(), *([Path(model)] if model else [])],
            )
            self._out.steps = found.steps
            lines.append(found.summary)

    def _predict(self, builder: Workspace) -> None:
        with self._scene("the model answers for one patient, with a statement") as lines:
            patient = self._stage.data("builder") / "patient.csv"
            patient.write_text(PATIENT)
            bundle = self._stage.data("builder") / "prediction.json"
            made = builder.predict(MODEL, patient, output=bundle)
            model = builder.asset(MODEL).source
            found = verify(bundle, data=[Path(model)] if model else [])
            self._out.prediction = made.as_dict()
            answer = made.answers[0]
            lines.append(
                f"probability of heart disease {float(answer.probability):.3f}; "
                f"statement {made.statement[:16]}…"
            )
            lines.append(f"verified: {found.summary}")

    def _tamper(self) -> None:
        with self._scene("one byte of one hospital's file changes") as lines:
            target = self._data["hungarian"]
            before = target.read_bytes()
            place = len(before) // 2
            while not chr(before[place]).isdigit():
                place += 1
            changed = b"9" if before[place : place + 1] != b"9" else b"8"
            target.write_bytes(before[:place] + changed + before[place + 1 :])
            code, document = cast.run_cli(
                *("verify", str(self._stage.data("builder") / "model.json")),
                *(part for path in self._data.values() for part in ("--data", str(path))),
            )
            target.write_bytes(before)
            if code != 1:
                raise VerificationError("the change was not noticed", hint="this is a bug")
            self._out.tampered = {"exit_code": code, **document}
            lines.append(f"usufruct verify model.json --data ...: exit {code}")
            for place_found in document["mismatches"]:
                words = ", ".join(
                    f"{word} {str(place_found[word]).split(' (0x')[0]}"
                    for word in ("party", "file", "chunk", "row", "line")
                    if place_found.get(word) is not None
                )
                lines.append(f"{place_found['what']}: {words}")
            lines.append("(the byte was put back)")

    def _sell(self, builder: Workspace) -> None:
        with self._scene("the builder offers the model, and starts a node") as lines:
            terms = self._stage.data("builder") / "terms.txt"
            terms.write_text(MODEL_TERMS)
            whole = builder.market.offer(MODEL, use=Use.DOWNLOAD, price=MODEL_PRICE, terms=terms)
            calls = builder.market.offer(MODEL, use=Use.CALL, price=PERIOD_PRICE, period="30d")
            lines.append(f"offer {whole.id[:12]}…  {whole.words}")
            lines.append(f"offer {calls.id[:12]}…  {calls.words}")

    def _buy(self, clinic: Workspace, url: str) -> None:
        with self._scene(
            "a clinic finds it at the node, reads the terms, buys, downloads"
        ) as lines:
            lines.append(f"the faucet gives the clinic {clinic.market.faucet()['balance']} TUSD")
            found = clinic.market.search("heart risk", node=url)
            lines.append(f"{url}: '{found[0].title}', a {found[0].kind} of {found[0].owner_name}")
            for offer in found[0].offers:
                bought = clinic.market.buy(offer.id, node=url)
                lines.append(
                    f"bought: {offer.use}, {bought.price_text}, one transaction, "
                    f"{bought.gas:,} gas; receipt with the terms kept"
                )
            target = self._stage.data("clinic") / "model"
            got = clinic.market.download(found[0].asset, output=target, node=url)
            lines.append(
                f"downloaded {got.files} files, {got.size} bytes: every chunk opened with the key "
                f"that was bought and held against the content root on the ledger"
            )

    def _use(self, clinic: Workspace) -> None:
        with self._scene("the clinic verifies what it got, and predicts with it") as lines:
            model = self._stage.data("clinic") / "model"
            lines.append(f"verified: {verify(model).summary}")
            patient = self._stage.data("clinic") / "patient.csv"
            patient.write_text(PATIENT)
            bundle = self._stage.data("clinic") / "prediction.json"
            made = clinic.predict(str(model), patient, output=bundle)
            same = made.answers[0].probability == self._out.prediction["answers"][0]["probability"]
            lines.append(
                f"probability of heart disease {float(made.answers[0].probability):.3f}, "
                f"{'the same as' if same else 'NOT what'} the builder's own model answered"
            )
            lines.append(f"verified: {verify(bundle, data=[model]).summary}")

    def _pay(self, builder: Workspace) -> None:
        with self._scene("all payees are paid; who got what, and why") as lines:
            done = builder.market.withdraw(MODEL)
            for payment in done.payments:
                lines.append(f"{payment.name:<17} {payment.money.text:>10}  of '{MODEL}'")
            found = builder.market.income(everybody=True)
            self._out.income = found.as_dict()
            lines.append("")
            lines += found.table()

    def _other_splits(self) -> None:
        """Measure how much the accuracy owes to the one way the rows were divided."""
        from usufruct.learn import Federation, LocalParty
        from usufruct.learn.heart import HEART_PLAN, hospital_tables

        with self._scene("how much of the accuracy is luck: ten ways to divide the rows") as lines:
            found = []
            for seed in range(SPLITS):
                tables = hospital_tables(seed=seed, paths=self._data)
                parties = [
                    LocalParty.from_table(HOSPITALS[who], train, test=test)
                    for who, (train, test) in tables.items()
                ]
                last = Federation(parties, HEART_PLAN).run().rounds[-1]
                found.append(float(last.metrics["test"]["pooled"]["accuracy"]))
            self._out.splits = tuple(found)
            lines.append(f"test accuracy {mean(found):.3f} ± {stdev(found):.3f} over {SPLITS}")

    def _next(self) -> tuple[str, ...]:
        folder, builder = self._stage.folder, self._stage.home("builder")
        cleveland = self._data["cleveland"]
        return (
            f"usufruct verify '{cleveland}'",
            f"usufruct verify '{folder / 'builder' / 'prediction.json'}'",
            f"usufruct lineage '{MODEL}' --home '{builder}'",
            f"usufruct log show --home '{builder}'",
            f"usufruct prove 'heart disease, Cleveland' --row 7 -o row.json "
            f"--home '{self._stage.home('cleveland')}'",
            f"usufruct ledger serve --home '{self._stage.home('operator')}' "
            f"--passphrase-file '{self._stage.passphrase_file}'",
        )
