"""An auditor by brute force: removing a person changes no more than the declared sensitivity.

Both parties take in and bound their tables, and exchange their people, as in a release. Their
messages, in which flags are left unencrypted, are then joined and counted in the clear, with each
person of the study in turn removed from both tables.

Bounds choose at random, by words that follow from a party's seed and from what is in a row. So with
the same seed the rows of the others have the same words whether or not a person is there, and the
change is that of the person alone. The loss that holds for each seed holds for the mixture over all
seeds, which is what a reader of the release sees (differential privacy is closed under it).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from functools import cache, partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from tests.roles.pair import exchanged_pair
from xstat_ray.crypto.keygen import generate
from xstat_ray.crypto.oprf import item_hashes
from xstat_ray.crypto.packing import Packing
from xstat_ray.crypto.paillier import PrivateKey
from xstat_ray.model.dimension import Dimension, Level
from xstat_ray.model.messages import Flags
from xstat_ray.model.period import Period
from xstat_ray.model.shards import ShardGrid
from xstat_ray.model.study import (
    Bounds,
    ColumnSide,
    Noise,
    Privacy,
    Role,
    RowSide,
    Study,
    Window,
)
from xstat_ray.planning.plan import make_plan
from xstat_ray.privacy.design import Design, shown_tree
from xstat_ray.roles import ColumnParty, RowParty, column_opening, column_party, row_intake
from xstat_ray.roles.blinding import Blinding
from xstat_ray.roles.join import match

SECRET: dict[Role, bytes] = {"row": b"r" * 32, "column": b"c" * 32}
"""Seeds of the parties."""
START = datetime(2024, 5, 1, tzinfo=UTC)
HOURS = 16
AREAS = 6
KINDS = 2
HIERARCHY = (
    Level("town", ("t0", "t1", "t2"), (0, 1, 0, 2, 1, 2)),
    Level("county", ("c0", "c1"), (0, 1, 0)),
)
WINDOWS = (
    Window("departure", (-3600, 0), ("d-1", "d")),
    Window("arrival", (0, 3600), ("a", "a+1")),
)


def dimension(name: str, size: int, hierarchy: tuple[Level, ...] = ()) -> Dimension:
    """Make a dimension of numbered labels."""
    labels = tuple(f"{name}{i}" for i in range(size))
    return Dimension(name, name, labels, tuple((label,) for label in labels), hierarchy=hierarchy)


def make_study(bounds: Bounds, offset_dimension: bool, weight: bool, noise: Noise = "off") -> Study:
    """Make a study of areas by kinds with windows around departure and arrival."""
    return Study(
        "audit",
        RowSide(
            "id",
            (dimension("area", AREAS, HIERARCHY),),
            time="at",
            weight="dwell" if weight else None,
        ),
        ColumnSide(
            "id", (dimension("kind", KINDS),), windows=WINDOWS, offset_dimension=offset_dimension
        ),
        period=Period("hour", START, START + timedelta(hours=HOURS)),
        bounds=bounds,
        privacy=Privacy(noise=noise, mechanism="tree", delta=Fraction(1, 10**6)),
    )


def make_tables(seed: int, bounds: Bounds) -> tuple[pa.Table, pa.Table]:
    """Draw people who board often and at overlapping hours, and add `most`, who does all there is.

    `most` does all that the bounds allow: stays in one area, and boards F times, q of them under one
    kind, so that no two windows overlap and all hours are in the study. There is more of each,
    which the bounds must cut.
    """
    draw = np.random.default_rng(seed)
    people = [f"p{i}" for i in range(5)]
    rows = [
        (str(draw.choice(people)), int(draw.integers(-2, HOURS + 2)), int(draw.integers(AREAS + 1)))
        for _ in range(250)
    ]
    boardings = [
        (
            str(draw.choice(people)),
            (hour := int(draw.integers(HOURS))),
            hour + int(draw.integers(1, 4)),
        )
        for _ in range(14)
    ]
    boardings.append(("stranger", 5, 7))
    kinds = draw.integers(KINDS, size=len(boardings)).tolist()
    rows += [("most", hour, 3) for hour in range(HOURS) for _ in range(bounds.rows + 1)]
    of_most = [("most", 1 + 5 * i, 3 + 5 * i) for i in range(3)]
    boardings = boardings + of_most
    kinds = kinds + ([0, 1, 0] if bounds.per_column == 1 else [0, 0, 0])
    shuffled = draw.permutation(len(rows)).tolist()
    ids, hours, areas = zip(*(rows[i] for i in shuffled), strict=True)
    row_table = {
        "id": ids,
        "at": [at(hour) for hour in hours],
        "area": [f"area{i}" for i in areas],
        "dwell": draw.integers(0, 3, len(ids)).astype(float),
    }
    order = draw.permutation(len(boardings)).tolist()
    column_table = {
        "id": [boardings[i][0] for i in order],
        "departure": [at(boardings[i][1]) for i in order],
        "arrival": [at(boardings[i][2]) for i in order],
        "kind": [f"kind{kinds[i]}" for i in order],
    }
    return pa.table(row_table), pa.table(column_table)


def at(hour: int) -> datetime:
    """Name a moment in an hour of the study."""
    return START + timedelta(hours=hour, minutes=7)


def note_people(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """Leave the flags unencrypted, and note the people whom each role takes into the exchange."""
    people: dict[str, list[str]] = {}
    for role, module in (("row", row_intake), ("column", column_party)):
        monkeypatch.setattr(module, "item_hashes", partial(_note_ids, people, role))
    monkeypatch.setattr(column_party, "OwnerEncryptor", Unencrypted)
    monkeypatch.setattr(column_opening, "generate", lambda bits, constant_time: any_key())
    return people


def _note_ids(
    people: dict[str, list[str]], role: str, salt: bytes, ids: NDArray[np.bytes_]
) -> NDArray[np.uint8]:
    people.setdefault(role, []).extend(ids.astype(str).tolist())
    return item_hashes(salt, ids)


@cache
def any_key() -> PrivateKey:
    """Make the key of all parties whose flags are not encrypted."""
    return generate(2048)


class Unencrypted:
    """Stands in for the encryption of flags, and lets the slot of each be read."""

    def __init__(self, key: PrivateKey, planned: int) -> None:
        pass

    def encrypt_indexed(self, table: Any, slots: NDArray[np.int64]) -> NDArray[np.uint8]:
        return slots.astype("<i8")[:, None].view(np.uint8)


def read_slots(flags: Flags) -> NDArray[np.int64]:
    """Read the slots of flags that are not encrypted."""
    return np.ascontiguousarray(flags.ciphertexts[:, 0]).view("<i8").ravel()


def taken_in(study: Study, paths: dict[str, Path]) -> tuple[RowParty, ColumnParty]:
    """Let both parties take in their tables and exchange their people."""
    small = SimpleNamespace(study=study, row=paths["row"], column=paths["column"])
    row, column = exchanged_pair(small, SECRET)
    column.generate_key(2048)
    return row, column


def coefficients(
    study: Study,
    row: RowParty,
    column: ColumnParty,
    packing: Packing,
    slots_of: Callable[[Flags], NDArray[np.int64]] = read_slots,
) -> list[NDArray[np.int64]]:
    """Count (cells, slots), and then the sums of every level, from the messages of the parties."""
    declared = np.argsort(Blinding(shown_tree(study), SECRET["row"]).forward)
    table = np.zeros((study.cells, study.slots), np.int64)
    grid = ShardGrid.plan(study.cells, study.period.span, 1)
    row.prepare(grid)
    (number,) = column.prepare(grid)
    flags = column.emit(0, 0, range(number), packing)
    assert len(np.unique(flags.tags, axis=0)) == number, "two flags of one person in one period"
    (shard,) = grid.shards
    rows = row.emit(shard)
    met, flag, _ = match(rows.tags, flags.tags, len(rows.tags))
    np.add.at(table, (declared[rows.cells[met]], slots_of(flags)[flag]), 1)
    levels = [table]
    for level in HIERARCHY:
        sums = np.zeros((len(level.labels), study.slots), np.int64)
        np.add.at(sums, list(level.parents), levels[-1])
        levels.append(sums)
    return [*levels, table.sum(axis=0, keepdims=True)]


def write(
    tables: tuple[pa.Table, pa.Table], folder: Path, without: str | None = None
) -> dict[str, Path]:
    """Write both tables, without a person."""
    paths = {}
    for role, table in zip(("row", "column"), tables, strict=True):
        keep = [person != without for person in table["id"].to_pylist()]
        paths[role] = folder / f"{role}.parquet"
        pq.write_table(table.filter(pa.array(keep)), paths[role])
    return paths


def changes(
    study: Study,
    tables: tuple[pa.Table, pa.Table],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> dict[str, list[NDArray[np.int64]]]:
    """Find the change of every level for each person who can be removed from either table."""
    packing = make_plan(study, key_bits=2048).packing
    people = note_people(monkeypatch)
    whole = coefficients(study, *taken_in(study, write(tables, folder)), packing)
    found = {}
    for person in sorted({*people["row"], *people["column"]}):
        parties = taken_in(study, write(tables, folder, without=person))
        left = coefficients(study, *parties, packing)
        found[person] = [before - after for before, after in zip(whole, left, strict=True)]
    return found


def loss(design: Design, levels: list[NDArray[np.int64]]) -> Fraction:
    """Worst-case epsilon of Laplace noise, L1/lambda, or rho of two Gaussian shares.

    It is L2^2 / (2 (2 sigma^2 - 1/11)), with sigma of one share; 1/11 is what discrete noise lacks.
    The losses of levels add up.
    """
    total = Fraction(0)
    for measured in design.levels:
        change = levels[measured.level]
        if design.budget.noise == "laplace":
            total += int(change.sum()) / Fraction(measured.mechanism.scale)
        else:
            faced = 2 * Fraction(measured.mechanism.share_scale) ** 2 - Fraction(1, 11)
            total += int((change**2).sum()) / (2 * faced)
    return total
