"""Several column parties from their tables to the counts: exact without noise, noise once with it."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from tests.case import Case, study
from tests.several import Several, keys_at_hand, several
from tests.sizes import first, thorough
from xstat_ray import crosstab
from xstat_ray.errors import BudgetError
from xstat_ray.inputs.source import Source
from xstat_ray.model.messages import Coefficients
from xstat_ray.planning.plan import make_plan
from xstat_ray.privacy.ledger import Ledger
from xstat_ray.protocol import play
from xstat_ray.roles import ColumnParty


def played(made: Several, folder: Path, shards: int = 5) -> Coefficients:
    """Play the whole protocol."""
    plan = make_plan(made.study, key_bits=2048, shards=shards)
    tables = made.write(folder)
    row = tables.pop("row")
    with keys_at_hand():
        return play(
            plan, row_table=row, column_table=tables, ledger=folder / "ledger", seeds=made.seeds
        )


@pytest.mark.parametrize(
    ("parties", "overlap"),
    first(1, [(3, 0.5), (2, 1.0), (2, 0.0), (5, 0.4), (8, 0.3)]),
)
def test_without_noise_the_release_equals_a_query_over_all_tables(
    parties: int, overlap: float, tmp_path: Path
) -> None:
    made = several(parties, overlap)
    coefficients = played(made, tmp_path)
    expected = made.expected()
    assert (coefficients.values == expected).all()
    assert expected.sum() > 100


@thorough
def test_what_one_ledger_refuses_is_finished_once_it_has_budget(tmp_path: Path) -> None:
    """The debits of the others stand, and are not made again."""
    case = Case(tmp_path)
    parties = [{"name": "jal", "persons": 50}, {"name": "hac", "persons": 50}]
    declared = study(noise="laplace", bounds=None, column={"parties": parties})
    ledgers = {name: tmp_path / f"{name}.sqlite" for name in ("row", "jal", "hac")}

    def run() -> None:
        crosstab(
            declared,
            row=Source(case.tables["row"], ledger=ledgers["row"]),
            column={n: Source(case.tables["column"], ledger=ledgers[n]) for n in ("jal", "hac")},
            out=case.out,
            options=case.options(),
        )

    def spent() -> list[Fraction]:
        return [Ledger(ledgers[name]).spent(f"small/{name}") for name in ledgers]

    honest = ColumnParty.admit

    def admit(self: ColumnParty, *args: Any) -> bytes:
        if self.party == "hac":
            # Another run has spent all of it meanwhile.
            Ledger(ledgers["hac"]).set_cap("small/hac", Fraction(1, 2), declared.privacy.delta)
        return honest(self, *args)

    with keys_at_hand():
        with pytest.MonkeyPatch.context() as patch, pytest.raises(BudgetError, match="small/hac"):
            patch.setattr(ColumnParty, "admit", admit)
            run()
        assert spent() == [1, 1, 0]
        Ledger(ledgers["hac"]).set_cap("small/hac", Fraction(10))
        run()
    assert spent() == [1, 1, 1]
