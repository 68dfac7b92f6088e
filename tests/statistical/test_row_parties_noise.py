"""Several row parties: what is published has the noise of the plan once, whatever their number.

The mean square of the noise of 3,000 counts, or sums, in variances of the plan, has a standard error
of 0.026 under Gaussian noise and of 0.041 under Laplace noise. It is refused once in a million runs.
A scale that is 0.7 or 1.4 times what it should be moves it by 0.48 at least, and under Gaussian noise, of which a
party has one of three shares, a share of each of two row parties by 0.33.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from scipy.stats import norm

from tests.adversary.people import in_turn
from tests.case import study
from tests.several import keys_at_hand
from tests.sizes import first, thorough
from xstat_ray.crypto.packing import Packing
from xstat_ray.model.study import Study
from xstat_ray.noise.shares import draw_gaussian_share, narrow
from xstat_ray.planning.plan import Plan, make_plan
from xstat_ray.privacy.mechanism import Mechanism
from xstat_ray.protocol import play
from xstat_ray.roles import ColumnParty, RowParty

AREAS = [f"area {number}" for number in range(100)]
KINDS = [f"kind {number}" for number in range(30)]
FARE = {"name": "fare", "low": 0, "high": 1000}
PEOPLE = 90
ROWS = ("north", "south", "west")
Departure = Callable[[pytest.MonkeyPatch, Plan], None]


def study_of(noise: str, row_parties: int) -> Study:
    """A study of areas by kinds, with fares."""
    column = {"dimensions": [{"name": "kind", "values": KINDS}], "measures": [FARE]}
    parties = [{"name": name} for name in ROWS[:row_parties]]
    return study(
        noise=noise,
        areas=AREAS,
        row={"parties": parties},
        column=column,
        privacy={"split": {"count": 0.5, "fare": 0.5}},
    )


def tables(declared: Study, folder: Path) -> dict[str, Path]:
    """Write tables of the same people, in areas that are others for each row party."""
    ids = [f"p{number}" for number in range(PEOPLE)]
    made = {
        "column": {"id": ids, "kind": in_turn(KINDS, PEOPLE), "fare": list(range(PEOPLE))},
    }
    for number, terms in enumerate(declared.row_parties):
        areas = in_turn(AREAS[7 * number :], PEOPLE)
        made[terms.name] = {"id": ids, "area": areas}
    for name, columns in made.items():
        pq.write_table(pa.table(columns), folder / f"{name}.parquet")
    return {name: folder / f"{name}.parquet" for name in made}


def exact(declared: Study) -> list[NDArray[np.int64]]:
    """Counts and sums of these tables; (cells, slots) each."""
    found = [np.zeros((len(AREAS), len(KINDS)), np.int64) for _ in range(2)]
    for number in range(len(declared.row_parties)):
        labels = range(7 * number, len(AREAS))
        for person in range(PEOPLE):
            place = labels[person % len(labels)], person % len(KINDS)
            found[0][place] += 1
            found[1][place] += person - 500
    return found


def noise_of(plan: Plan, folder: Path) -> list[NDArray[np.int64]]:
    """Play a release; the noise of counts and of sums in what is published."""
    declared = plan.study
    paths = tables(declared, folder)
    with keys_at_hand():
        values = play(
            plan,
            row_table={terms.name: paths[terms.name] for terms in declared.row_parties},
            column_table=paths["column"],
            ledger=folder / "ledger",
        ).values
    published = np.split(values[: len(AREAS)], 2, axis=1)
    return [noisy - true for noisy, true in zip(published, exact(declared), strict=True)]


def size(noise: NDArray[np.int64], declared: Mechanism) -> float:
    """Mean square in variances, less one, in standard errors of that."""
    square = float(((noise / declared.stderr) ** 2).mean())
    spread = {"gaussian": 2.0, "laplace": 5.0}[declared.noise] / noise.size
    return (square - 1) / spread**0.5


def accepted(found: Sequence[NDArray[np.int64]], declared: Sequence[Mechanism]) -> list[bool]:
    """Whether the noise of counts, and of sums, is of the declared size."""
    most = norm.ppf(1 - 0.5e-6)
    return [bool(abs(size(one, of)) < most) for one, of in zip(found, declared, strict=True)]


@pytest.mark.parametrize(
    ("noise", "row_parties"), first(1, [("gaussian", 2), ("laplace", 2), ("gaussian", 3)])
)
def test_noise_is_in_it_once_and_of_its_declared_scale(
    noise: str, row_parties: int, tmp_path: Path
) -> None:
    plan = make_plan(study_of(noise, row_parties), key_bits=2048)
    found = noise_of(plan, tmp_path)
    declared = plan.design.levels[0].mechanisms
    assert accepted(found, declared) == [True, True]
    for factor in (0.7, 1.4):
        wrong = [replace(one, scale=one.scale * factor) for one in declared]
        assert accepted(found, wrong) == [False, False]
    # With one row party the same noise is scaled to what one row adds.
    alone = make_plan(study_of(noise, 1), key_bits=2048).design.levels[0].mechanisms
    assert accepted(found, alone) == [False, False]


def of_each_row_party(patch: pytest.MonkeyPatch, plan: Plan) -> None:
    """The other row party has a share of the noise, too, which is added."""
    honest = RowParty.noise_of

    def noise_of_both(self: RowParty, nodes: range, packing: Packing) -> bytes:
        own = self._noise
        assert own is not None
        self._noise = own + narrow(draw_gaussian_share(plan.design, plan.study.slots))
        try:
            return honest(self, nodes, packing)
        finally:
            self._noise = own

    patch.setattr(RowParty, "noise_of", noise_of_both)


def of_no_row_party(patch: pytest.MonkeyPatch, plan: Plan) -> None:
    """The row parties leave it to each other."""
    honest = RowParty.keep_noise

    def keep_nothing(self: RowParty) -> None:
        honest(self)
        assert self._noise is not None
        self._noise = np.zeros_like(self._noise)

    del plan
    patch.setattr(RowParty, "keep_noise", keep_nothing)


@thorough
@pytest.mark.parametrize("departure", [of_each_row_party, of_no_row_party])
def test_a_share_too_many_or_too_few_is_rejected(
    departure: Departure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = make_plan(study_of("gaussian", 2), key_bits=2048)
    departure(monkeypatch, plan)
    assert accepted(noise_of(plan, tmp_path), plan.design.levels[0].mechanisms) == [False, False]


@thorough
def test_the_first_row_party_alone_has_a_share_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parties: list[RowParty | ColumnParty] = []
    for kind in (RowParty, ColumnParty):
        honest = kind.intake

        def intake(self: RowParty | ColumnParty, *, read: Callable[..., None] = honest) -> None:
            parties.append(self)
            read(self)

        monkeypatch.setattr(kind, "intake", intake)
    noise_of(make_plan(study_of("gaussian", 2), key_bits=2048), tmp_path)
    with_share = [party for party in parties if party._noise is not None]
    assert len(parties) == 3
    assert [party.role for party in with_share] == ["row", "column"]
    assert with_share[0].row_party == "north"
