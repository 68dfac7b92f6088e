"""What the driver sees of the parties' environments: with padding nothing but padded sizes.

The driver of a local run plays the aggregator's part and hands on what the environments of a party
send each other, sealed. The criterion is simulation: everything that calls of the parties return
to it, but for the handshake and the ID exchange, must be what can be computed from the plan and from
the padded numbers of rows and flags, which are differentially private. The sizes of the ID
exchange must be the same for tables that differ by one person; they follow from rounded numbers of
persons.
"""

from __future__ import annotations

import datetime as dt
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.case import Case, study
from tests.sizes import thorough
from xstat_ray import Options
from xstat_ray.inputs.source import Source
from xstat_ray.model.messages import Flags, Rows
from xstat_ray.model.study import Study
from xstat_ray.noise.bits import Attempt
from xstat_ray.noise.dealing import Dealer
from xstat_ray.noise.sampler import Sampler
from xstat_ray.planning.plan import Plan
from xstat_ray.roles import ColumnParty, RowParty
from xstat_ray.roles.intake_record import IntakeRecord
from xstat_ray.roles.party import Party
from xstat_ray.roles.row_opening import Masked
from xstat_ray.roles.survey import Room, Survey
from xstat_ray.runtime.driver import Driver
from xstat_ray.runtime.emission import Stretches, opening_parts
from xstat_ray.runtime.events import NAME
from xstat_ray.runtime.executor import Executor, Instance, LocalExecutor, LocalInstance, Ref
from xstat_ray.runtime.progress import Progress

ENVIRONMENTS = 3
EXCHANGE = {"offer_columns", "choose_columns", "accept_choices", "share_exchange", "join_exchange"}
EXCHANGE |= {"hide", "evaluate", "keys_of", "put_keys"}
NOT_LOOKED_AT = {"hello", "agree", "confirm", "offer", "accept", "hand_over", "replica_digest"}
NOT_LOOKED_AT |= {"session"}
NOT_LOOKED_AT |= EXCHANGE
"""Calls of the handshake, whose results are random, and of the ID exchange."""
SEALED_BYTES = 12 + 16
AT = {"x": 1, "y": 3, "one": 44}
"""Hours of the row party's people; `one` is alone in the second day, and in an area of its own."""

Seen = list[tuple[str, object]]


def make_study(padding: str = "dp") -> Study:
    return study(
        areas=("a", "b", "c"),
        period={"grain": "hour", "start": "2024-05-01", "end": "2024-05-03"},
        row={"time": "at"},
        column={"windows": [{"anchor": "at", "name": "now", "unit": "hour", "from": 0, "to": 0}]},
        noise="laplace",
        privacy={"padding": padding, "view": {"epsilon": 1, "delta": "1e-6"}},
    )


def write_tables(folder: Path, people: list[str]) -> dict[str, Path]:
    """Write both tables, with these people in the row party's, which has a file a day."""
    hour = {name: dt.datetime(2024, 5, 1) + dt.timedelta(hours=AT[name]) for name in AT}
    (folder / "rows").mkdir()
    for day in (1, 2):
        there = [name for name in people if hour[name].day == day]
        table = {
            "id": pa.array(there, pa.string()),
            "at": pa.array([hour[name] for name in there], pa.timestamp("s")),
            "area": pa.array(["c" if name == "one" else "a" for name in there], pa.string()),
        }
        if there:
            pq.write_table(pa.table(table), folder / "rows" / f"{day}.parquet")
    flown = [name for name in ("x", "one") if name in people]
    columns = {"id": flown, "at": [hour[name] for name in flown], "kind": ["x"] * len(flown)}
    pq.write_table(pa.table(columns), folder / "columns.parquet")
    return {"row": folder / "rows", "column": folder / "columns.parquet"}


class Watched(Instance[Any]):
    """An environment whose answers the driver writes down."""

    def __init__(self, party: Party, name: str, seen: Seen) -> None:
        self._inner = LocalInstance(party)
        self._name = name
        self._seen = seen

    def call(self, method: Callable[..., Any], *args: object) -> Ref[Any]:
        ref = self._inner.call(method, *args)
        if method.__name__ not in NOT_LOOKED_AT:
            self._seen.append((f"{method.__name__} {self._name}", form(ref.get())))
        return ref


def form(answer: Any) -> object:
    """What the driver sees of an answer: sizes of messages, and plain values as they are."""
    if isinstance(answer, bytes):
        return len(answer)
    if isinstance(answer, Rows):
        return "rows", len(answer.tags)
    if isinstance(answer, Flags):
        return "flags", len(answer.tags)
    if isinstance(answer, Masked):
        return "masks", answer.masks.ciphertexts.shape, len(answer.receipt)
    if isinstance(answer, list) and answer and isinstance(answer[0], np.ndarray):
        return [part.tolist() for part in answer]
    return answer


def executor_of(study: Study, tables: dict[str, Path], seen: Seen) -> Executor:
    sources = {role: Source(path) for role, path in tables.items()}
    executor = LocalExecutor(study, sources)
    executor.row = [
        Watched(RowParty(study, sources["row"]), str(number), seen)
        for number in range(ENVIRONMENTS)
    ]
    executor.columns = {
        "column": [
            Watched(ColumnParty(study, sources["column"]), f"column {number}", seen)
            for number in range(2)
        ]
    }
    return executor


def watch(folder: Path, people: list[str]) -> tuple[Plan, Seen]:
    """Run up to the encrypted counts; returns what the driver saw."""
    folder.mkdir()
    study = make_study()
    options = Options(key_bits=2048, shards=4, batch="day")
    plan = options.plan(study)
    seen = Seen()
    executor = executor_of(study, write_tables(folder, people), seen)
    driver = Driver(executor, plan, Progress())
    public = driver.de_identify()
    driver.draw_noise()
    driver.aggregate(public)
    for row in executor.row:
        executor.get(row.call(RowParty.report))
    return plan, seen


def of_row_party(seen: Seen) -> Seen:
    return [call for call in seen if "column" not in call[0]]


def simulate(plan: Plan, rows: dict[int, int]) -> Seen:
    """Make what the driver may see, out of the plan and the padded number of rows of each shard."""
    grid = plan.grid
    everyone = range(ENVIRONMENTS)
    drawn = 2 * len(grid.batches) * grid.cells * 8 + SEALED_BYTES
    seen: Seen = [("accept_key 0", None)]
    seen += simulate_survey()
    seen += simulate_noise(plan, "0")
    seen.append(("draw_dummies 0", drawn))
    seen += [(f"prepare {number}", [True] * len(grid.batches)) for number in everyone]
    calls = Stretches(everyone, len(grid.batches))
    for turn, batch in enumerate(calls.order):
        for shard in grid.of_batch(batch):
            emitted = ("rows", rows.get(shard.number))
            seen.append((f"emit {calls.emitter(batch)}", emitted))
        if turn == (len(calls.order) - 1) // 2:
            seen += simulate_masks(plan)
    return seen + [(f"report {number}", 4096 + SEALED_BYTES) for number in everyone]


def simulate_masks(plan: Plan) -> Seen:
    """Make what is seen of the masks, which are asked for halfway through the batches."""
    (part,) = opening_parts(plan)
    shape = (len(part), plan.packing.blocks, plan.key_bits // 4)
    noise = len(part) * plan.packing.blocks * plan.key_bits // 8
    masks = "masks", shape, 48 + SEALED_BYTES
    return [("noise_of 0", noise + SEALED_BYTES), ("mask_table 0", masks)]


def simulate_survey() -> Seen:
    """Make what is seen of the survey, out of the rounded number of persons, which is 256."""
    size = 3 * 8 + 4096 * 8 + SEALED_BYTES
    room = Room(256, 256 * 16 + (1 << 18))
    survey = 8 + room.bytes + SEALED_BYTES
    items = -(-256 // ENVIRONMENTS) * 16 + SEALED_BYTES
    everyone = range(ENVIRONMENTS)
    seen: Seen = [(f"make_fit {number}", None) for number in everyone]
    seen += [(f"survey {number}", size) for number in everyone]
    seen.append(("make_room 0", room))
    for number in (1, 2):
        seen += [(f"hand_in {number}", survey), ("merge 0", None)]
    seen.append(("hand_in 0", survey))
    seen += [(f"take_survey {number}", None) for number in everyone]
    seen.append(("check_usable 0", None))
    seen += [(f"hash_persons {number}", items) for number in everyone]
    return seen + [(f"take_hashes {number}", None) for number in everyone]


def simulate_flags(plan: Plan, flags: list[int]) -> Seen:
    """Make what the driver may see of the column party, out of its padded numbers of flags."""
    batches = len(plan.grid.batches)
    seen: Seen = [("generate_key column 0", None)]
    seen.append(("public_key column 0", plan.key_bits // 8 * 15))
    seen += [(f"intake column {number}", None) for number in range(2)]
    seen += simulate_noise(plan, "column 0")
    seen.append(("draw_dummies column 0", batches * 8 + SEALED_BYTES))
    seen += [(f"prepare column {number}", flags) for number in range(2)]
    asked = [0, 0]
    for size in flags:
        which = asked.index(min(asked))
        asked[which] += size
        seen.append((f"emit column {which}", ("flags", size)))
    return seen


def simulate_noise(plan: Plan, name: str) -> Seen:
    """Make what is seen of a party's draw of the noise: openings as large as the plan tells."""
    assert plan.noise is not None
    seen: Seen = [(f"dealing_key {name}", 32), (f"accept_deal {name}", None)]
    attempt = Attempt(bytes(32), 0)
    dealer = Dealer(plan.noise, attempt, bytes(32))
    samplers = [
        Sampler(role, plan.noise, attempt, bytes(32), dealer.export_seed(role))
        for role in ("row", "column")
    ]
    for part in plan.noise.parts:
        row = samplers[0].begin(part.number)
        column = samplers[1].begin(part.number, dealer.deal(part.number))
        call = "begin_noise"
        under_way = True
        while under_way:
            opening = row.opening
            size = len(opening.encode(plan.study.digest)) + SEALED_BYTES
            seen.append((f"{call} {name}", size))
            call = "advance_noise"
            under_way = row.advance(column.opening)
            column.advance(opening)
        seen.append((f"{call} {name}", None))
    return [*seen, (f"keep_noise {name}", None)]


def padded_sizes(plan: Plan, seen: Seen) -> dict[int, int]:
    """The sizes of the messages of rows, by shard."""
    emitted = [size[1] for name, size in seen if name.startswith("emit")]
    order = Stretches(range(ENVIRONMENTS), len(plan.grid.batches)).order
    shards = [shard.number for batch in order for shard in plan.grid.of_batch(batch)]
    return dict(zip(shards, emitted, strict=False))


@pytest.mark.parametrize("people", [["x", "y"], ["x", "y", "one"]], ids=["without", "with"])
def test_with_padding_all_that_the_driver_sees_follows_from_padded_sizes(tmp_path, people):
    plan, seen = watch(tmp_path / "run", people)
    rows = of_row_party(seen)
    assert rows == simulate(plan, padded_sizes(plan, rows))
    flags = [call for call in seen if call not in rows]
    (sizes,) = (answer for name, answer in flags if name == "prepare column 0")
    assert flags == simulate_flags(plan, sizes)


def test_a_survey_that_is_as_large_as_what_is_in_it_is_found(tmp_path, monkeypatch):
    """The leak planted: what environments hand in is not filled."""
    export = Survey.export
    monkeypatch.setattr(Survey, "export", lambda self, _: export(self, Room(0, 0)))
    plan, seen = watch(tmp_path / "run", ["x", "y", "one"])
    rows = of_row_party(seen)
    assert rows != simulate(plan, padded_sizes(plan, rows))
    handed_in = [size for name, size in rows if name.startswith("hand_in")]
    assert len(set(handed_in)) > 1


def exchanges(folder: Path, patch: pytest.MonkeyPatch) -> list[Seen]:
    """What the driver sees of the ID exchange, without one person and with her, in both tables."""
    patch.setattr(sys.modules[__name__], "NOT_LOOKED_AT", NOT_LOOKED_AT - EXCHANGE)
    forms = []
    for people in (["x", "y"], ["x", "y", "one"]):
        _, seen = watch(folder / str(len(people)), people)
        forms.append([call for call in seen if call[0].split()[0] in EXCHANGE])
    assert {name.split()[0] for name, _ in forms[0]} == EXCHANGE
    return forms


def test_the_exchange_looks_the_same_whoever_is_in_the_tables(tmp_path, monkeypatch):
    without, with_one = exchanges(tmp_path, monkeypatch)
    assert without == with_one


def test_keys_that_are_as_many_as_a_bins_persons_are_found(tmp_path, monkeypatch):
    """The leak planted: what environments send each other is not filled."""

    def keys_of(self, number):
        keys = self._exchange.keys_of(number)
        packed = len(keys).to_bytes(8, "little") + keys.tobytes()
        return self._within.seal(packed, f"keys {number}")

    monkeypatch.setattr(Party, "keys_of", keys_of)
    without, with_one = exchanges(tmp_path, monkeypatch)
    assert without != with_one


def tell_of_rows(patch: pytest.MonkeyPatch) -> None:
    """The leak planted: which batches can hold rows."""
    sealing = RowParty.prepare

    def prepare(self, grid, drawn=None, emitted=None):
        sealing(self, grid, drawn, emitted)
        return [self._surveyed.has_rows(batch) for batch in grid.batches]

    patch.setattr(RowParty, "prepare", prepare)


def report_digits(patch: pytest.MonkeyPatch) -> None:
    """The leak planted: reports as long as their numbers."""

    def leaky(self, channel):
        return channel.seal(json.dumps(self.counts.as_dict()).encode(), "intake counts")

    patch.setattr(IntakeRecord, "report", leaky)


@pytest.mark.parametrize("leak", [tell_of_rows, report_digits])
def test_a_planted_leak_is_found(tmp_path, monkeypatch, leak):
    leak(monkeypatch)
    plan, seen = watch(tmp_path / "run", ["x", "y"])
    seen = of_row_party(seen)
    assert seen != simulate(plan, padded_sizes(plan, seen))


@thorough
def test_one_person_would_change_which_batches_can_hold_rows(tmp_path, monkeypatch):
    """What the first of these leaks is worth: certainty about one person."""
    tell_of_rows(monkeypatch)
    answers = []
    for name, people in (("without", ["x", "y"]), ("with", ["x", "y", "one"])):
        seen = dict(watch(tmp_path / name, people)[1])
        answers.append([seen[f"prepare {number}"] for number in range(ENVIRONMENTS)])
    without, with_one = answers
    assert not any(batches[1] for batches in without)
    assert any(batches[1] for batches in with_one)


# What is published of times


@thorough
def test_with_padding_published_times_are_told_to_the_minute(tmp_path):
    published = {}
    for padding in ("dp", "off"):
        (tmp_path / padding).mkdir()
        case = Case(tmp_path / padding)
        case.run(study(noise="laplace", privacy={"padding": padding}))
        events = [json.loads(line) for line in (case.out / NAME).read_text().splitlines()]
        seconds = json.loads((case.out / "manifest.json").read_text())["seconds"]
        finest = {len(event["time"]) for event in events}, {"seconds" in event for event in events}
        published[padding] = finest, {duration % 60 for duration in seconds.values()}
    minutes = len("2024-05-01T00:00+00:00")
    assert published["dp"] == (({minutes}, {False}), {0})
    # The same look finds finer times where nothing is hidden.
    (lengths, told), fractions = published["off"]
    assert min(lengths) > minutes and True in told and len(fractions) > 1
