"""Removing one person changes no more than the declared sensitivity, and one changes as much."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.roles.pair import private_key
from tests.sizes import first, slow
from tests.statistical.auditor import (
    SECRET,
    changes,
    coefficients,
    loss,
    make_study,
    make_tables,
    write,
)
from xstat_ray.model.messages import Flags
from xstat_ray.model.study import (
    Bounds,
)
from xstat_ray.planning.plan import make_plan
from xstat_ray.privacy.design import Design
from xstat_ray.protocol import play
from xstat_ray.roles import ColumnParty, RowParty

BOUNDS = [
    Bounds(rows=rows, boardings=boardings, per_column=per_column, persons=20)
    for rows, boardings, per_column in (
        (1, 1, 1),
        (2, 1, 1),
        (1, 2, 1),
        (2, 2, 1),
        (1, 2, 2),
        (2, 2, 2),
    )
]
SEEDS = range(4)


@pytest.mark.parametrize(
    ("bounds", "offset_dimension"),
    [
        *first(1, [(BOUNDS[5], False), (BOUNDS[3], True)]),
        *first(
            0, [*product([*BOUNDS[:3], *BOUNDS[4:]], [True]), *product(BOUNDS[:5], [False])], slow
        ),
    ],
)
def test_no_neighbour_is_further_away_than_declared_and_one_is_as_far(
    bounds, offset_dimension, tmp_path, monkeypatch
):
    l1 = []
    l2_squared = []
    for seed in SEEDS:
        study = make_study(bounds, offset_dimension, weight=seed == 0)
        for person, levels in changes(
            study, make_tables(seed, bounds), tmp_path, monkeypatch
        ).items():
            # Removing a person takes nothing but that person's units away; the choices of the
            # others do not change.
            assert all((change >= 0).all() for change in levels), person
            l1.append([int(np.abs(change).sum()) for change in levels])
            l2_squared.append([int((change**2).sum()) for change in levels])
    # There are five people, a stranger to the row party, and `most`.
    assert len(l1) == 7 * len(SEEDS)
    declared = Design.of_study(study).budget
    most = bounds.rows * min(bounds.boardings, bounds.per_column) * (1 if offset_dimension else 4)
    assert declared.l1 == study.person_units == bounds.rows * bounds.boardings * 4
    assert study.slot_units == most and declared.l2_squared == most * declared.l1
    # At each level nobody moves more, and `most` moves exactly as much.
    assert np.max(l1, axis=0).tolist() == [declared.l1] * 4
    assert np.max(l2_squared, axis=0).tolist() == [declared.l2_squared] * 4
    # Random people move the counts, too, mostly by less.
    assert sum(0 < by_level[0] < declared.l1 for by_level in l1) > 5


@pytest.mark.parametrize("noise", ["laplace", "gaussian"])
def test_the_loss_over_all_levels_is_the_budget(noise, tmp_path, monkeypatch):
    study = make_study(BOUNDS[5], True, False, noise)
    design = Design.of_study(study)
    assert [m.level for m in design.levels] == [0, 1, 2, 3]
    found = changes(study, make_tables(5, study.bounds), tmp_path, monkeypatch)
    losses = {person: loss(design, levels) for person, levels in found.items()}
    budget = design.budget.epsilon
    least = budget
    if noise == "gaussian":
        budget = design.budget.rho
        # The 1/11 weighs less where the noise of a level is larger than that of all the budget.
        faced = 2 * Fraction(design.budget.share_scale) ** 2
        least = design.budget.l2_squared / (2 * faced)
        assert 0.99 * budget < least
    assert max(losses.values()) == losses["most"]
    assert least * (1 - Fraction(1, 10**9)) < losses["most"] <= budget


def test_an_auditor_of_looser_bounds_would_have_noticed(tmp_path, monkeypatch):
    declared = make_study(BOUNDS[0], False, False)
    enforced = replace(declared, bounds=BOUNDS[3])
    found = changes(enforced, make_tables(0, BOUNDS[3]), tmp_path, monkeypatch)
    assert max(int(levels[0].sum()) for levels in found.values()) > declared.person_units


def test_an_auditor_of_a_bound_of_columns_that_is_not_kept_would_have_noticed(
    tmp_path, monkeypatch
):
    declared = make_study(BOUNDS[2], True, False)
    enforced = replace(declared, bounds=BOUNDS[4])
    found = changes(enforced, make_tables(0, BOUNDS[4]), tmp_path, monkeypatch)
    squares = [int((levels[0] ** 2).sum()) for levels in found.values()]
    assert max(squares) > declared.sensitivity.l2_squared
    assert max(int(levels[0].sum()) for levels in found.values()) <= declared.person_units


def test_the_auditor_counts_what_the_protocol_counts(tmp_path, monkeypatch):
    """The parties of the whole protocol, audited after it, give the coefficients that it gave."""
    study = make_study(BOUNDS[3], True, True)
    plan = make_plan(study, key_bits=2048)
    paths = write(make_tables(1, study.bounds), tmp_path)
    audited: list[Any] = []
    for kind in (RowParty, ColumnParty):
        monkeypatch.setattr(kind, "accept_choices", spy(kind.accept_choices, audited))
    result = play(
        plan,
        row_table=paths["row"],
        column_table=paths["column"],
        ledger=tmp_path / "x",
        seeds=SECRET,
    )
    row, column = audited
    key = private_key(column)

    def decrypt(flags: Flags) -> NDArray[np.int64]:
        plain = key.decrypt(flags.ciphertexts.reshape(-1, key.public.width))
        one_hot = plan.packing.unpack(plain) + plan.packing.offset
        assert (one_hot.sum(axis=1) == 1).all() and one_hot.min() == 0
        return one_hot.argmax(axis=1)

    expected = coefficients(study, row, column, plan.packing, decrypt)
    assert expected[0].sum() > 20
    assert (result.values == np.concatenate(expected)).all()


def spy(method: Callable[..., Any], seen: list[Any]) -> Callable[..., Any]:
    """Note which party calls a method."""

    def record(party: RowParty | ColumnParty, *arguments: Any) -> Any:
        seen.append(party)
        return method(party, *arguments)

    return record
