"""What a party of bad faith could do beside its part, and what would answer it by a refusal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.case import Case, study
from tests.federation.domains import Domains
from tests.roles.pair import agreed_pair, transfer
from tests.sizes import first
from xstat_ray.errors import InputError, ProtocolError
from xstat_ray.federation import domain_run
from xstat_ray.inputs.source import Source
from xstat_ray.model.messages import Rows
from xstat_ray.privacy.design import Design
from xstat_ray.roles import RowParty
from xstat_ray.roles.session import Session

TOWNS = {f"t{number}": [f"c{number}a", f"c{number}b"] for number in range(10)}
AREA = {
    "name": "area",
    "values": [cell for cells in TOWNS.values() for cell in cells],
    "hierarchy": {"town": TOWNS},
}
MEASURED = study(noise="laplace", row={"dimensions": [AREA]}, privacy={"mechanism": "tree"})


@pytest.fixture
def case(tmp_path: Path) -> Case:
    made = Case(tmp_path)
    made.write("row", {"id": ["person", "1", "2"], "area": ["c0a", "c1a", "c2b"]})
    made.write("column", {"id": ["person", "1", "2"], "kind": ["x", "x", "x"]})
    return made


@pytest.mark.parametrize("times", first(1, [1, 11, 12]))
def test_a_row_tree_that_is_not_the_studys_is_refused(case, monkeypatch, times):
    """All cells under every node of the upper levels: the person would be measured many times."""

    def tree_starts(self: RowParty) -> list[Any]:
        return [np.zeros(1, np.int64)] * times

    monkeypatch.setattr(RowParty, "tree_starts", tree_starts)
    with pytest.raises(ProtocolError, match="row tree"):
        case.run(MEASURED)
    assert case.debits() == 0
    monkeypatch.setattr(Design, "check_starts", lambda *_: None)
    if times == 11:
        # The leak planted: without the check the table that is opened has as many rows as it must.
        assert case.run(MEASURED).statistics.num_rows == 40


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("padding", first(1, ["off", "dp"]))
def test_a_cell_outside_the_domain_is_refused_whoever_is_in_the_other_table(
    case, monkeypatch, there, padding
):
    """If it were refused where it matches alone, one row would ask about one person."""
    case.write("column", {"id": ["person" if there else "stranger", "1"], "kind": ["x", "y"]})
    case.write("row", {"id": ["person"], "area": ["a"]})
    emit = RowParty.emit

    def far_away(self: RowParty, *args: Any) -> Rows:
        rows = emit(self, *args)
        cells = rows.cells.copy()
        cells[-1:] = 4_000_000_000
        return Rows(rows.view, rows.shard, rows.tags, cells)

    far_away.__name__ = "emit"
    monkeypatch.setattr(RowParty, "emit", far_away)
    with pytest.raises(ProtocolError, match="outside the domain"):
        case.run(study(noise="laplace", privacy={"padding": padding}))


def test_what_a_party_seals_for_its_environments_the_other_party_cannot_open(
    small, monkeypatch, tmp_path
):
    row, column = agreed_pair(small.study, small.row, small.column)
    row.intake()
    column.intake()
    transfer(row, column)

    def others_open() -> bool:
        """Whether a column party that gets what the row party's environments share can use it."""
        try:
            column.join_exchange(row.share_exchange())
        except ProtocolError:
            return False
        return True

    assert not others_open()
    # The leak planted: the channel of both parties in place of the party's own.
    monkeypatch.setattr(Session, "_within", property(lambda self: self._channel("row")))
    assert others_open()


def domains_of(case: Case, tmp_path: Path, **options: Any) -> Domains:
    case.write("row", {"id": ["1", "2"], "area": ["a", "b"]})
    case.write("column", {"id": ["1", "9"], "kind": ["x", "y"]})
    return Domains(tmp_path / "domains", study(), case.tables, **options)


def test_other_software_does_not_go_on_with_a_run(case, tmp_path, monkeypatch):
    """Ids might get another normal form, and nobody would match any more."""
    domains = domains_of(case, tmp_path)
    domains.run(until=("row", "emit"))
    monkeypatch.setattr(domain_run, "software_digest", lambda: bytes(32))
    with pytest.raises(InputError, match="begun with another software"):
        domains.step("row", "emit")


def test_environments_whose_copies_differ_end_the_run(small, tmp_path):
    parties = []
    for number, ids in enumerate((["1", "2"], ["1", "3"])):
        folder = tmp_path / str(number)
        folder.mkdir()
        pq.write_table(pa.table({"id": ids, "area": ["a", "b"]}), folder / "rows.parquet")
        parties.append(RowParty(study(), Source(folder)))
    pq.write_table(pa.table({"id": ["1"], "kind": ["x"]}), tmp_path / "columns.parquet")
    row, other = parties
    pair = agreed_pair(study(), tmp_path / "0", tmp_path / "columns.parquet")
    row.accept(pair[0].hand_over(row.offer()))
    other.accept(pair[0].hand_over(other.offer()))
    reports = []
    for party in parties:
        party.intake()
        reports.append(party.report())
    with pytest.raises(InputError, match="read different tables"):
        row.record(tmp_path / "private", reports)
