"""A release of several column parties as one call: the counts are those of SQL over all tables."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.case import Case, counts, study
from tests.several import Several, keys_at_hand, several
from tests.sizes import thorough
from xstat_ray import Options, Release, crosstab
from xstat_ray.errors import InputError
from xstat_ray.privacy.ledger import Ledger
from xstat_ray.roles import ColumnParty, RowParty
from xstat_ray.runtime import executor as executor_module
from xstat_ray.runtime.driver import Driver

OPTIONS = Options(key_bits=2048, shards=3, allow_no_noise=True)
PARTIES = [{"name": "jal", "persons": 50}, {"name": "hac", "persons": 50}]


def run(made: Several, folder: Path, **how: Any) -> Release:
    """Release the study in this process with the seeds of its parties, and keys that are there."""
    paths = made.write(folder)
    row = paths.pop("row")

    def column_party(study: Any, source: Any, *, party: str) -> ColumnParty:
        return ColumnParty(study, source, party=party, seed=made.seeds[party])

    with keys_at_hand(), pytest.MonkeyPatch.context() as patch:
        row_party = partial(RowParty, seed=made.seeds["row"])
        patch.setattr(executor_module, "RowParty", row_party)
        patch.setattr(executor_module, "ColumnParty", column_party)
        return crosstab(made.study, row=row, column=paths, options=OPTIONS, **how)


def counts_of(release: Release, made: Several) -> NDArray[np.int64]:
    """(cells, slots) published counts."""
    shape = (made.study.cells, made.study.slots)
    return release.statistics["noisy"].to_numpy().reshape(shape)


def test_counts_equal_a_query_and_all_files_tell_of_all_parties(tmp_path: Path) -> None:
    made = several(2, 0.5)
    release = run(made, tmp_path, out=tmp_path / "out")
    assert (counts_of(release, made) == made.expected()).all()
    names = {"row", "jal", "hac"}
    assert {path.name for path in (tmp_path / "out" / "parties").iterdir()} == names
    assert set(release.manifest["datasets"]) == set(release.manifest["inputs_hmac_sha256"]) == names


@thorough
@pytest.mark.parametrize("parties", [3, 5])
def test_counts_of_more_parties_equal_a_query(parties: int, tmp_path: Path) -> None:
    made = several(parties, 0.3)
    assert (counts_of(run(made, tmp_path), made) == made.expected()).all()


@thorough
def test_an_interrupted_release_is_finished_from_what_is_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = several(3, 0.5)

    def fail(self: Driver, *_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Driver, "release", fail)
        run(made, tmp_path, out=tmp_path / "out")
    monkeypatch.setattr(Driver, "de_identify", fail)
    release = run(made, tmp_path, out=tmp_path / "out")
    assert (counts_of(release, made) == made.expected()).all()


def codeshared(folder: Path) -> tuple[Case, dict[str, Path]]:
    """Tables of two parties in which person 1 is in both, under another kind."""
    case = Case(folder)
    tables = {
        "jal": {"id": ["1", "2"], "kind": ["x", "y"]},
        "hac": {"id": ["1", "3"], "kind": ["y", "x"]},
    }
    paths = {}
    for name, table in tables.items():
        paths[name] = case.write("column", table).rename(folder / f"{name}.parquet")
    return case, paths


COUNTS = {("a", "x"): 2, ("a", "y"): 0, ("b", "x"): 0, ("b", "y"): 1}
"""Of person 1 only what stands in the first party's table counts."""


PADDED = {"padding": "dp", "view": {"epsilon": 5, "delta": "0.01"}}


@pytest.mark.ray
@thorough
@pytest.mark.parametrize("privacy", [{}, PADDED])
def test_on_ray_with_several_environments_of_each_party(
    privacy: dict[str, object], tmp_path: Path, ray_folder: Path
) -> None:
    case, paths = codeshared(tmp_path)
    declared = study(bounds={"rows": 1}, column={"parties": PARTIES}, privacy=privacy)
    options = replace(OPTIONS, runtime="ray", replicas={"row": 2, "column": 2})
    row = case.source(case.tables["row"])
    columns = {name: case.source(path) for name, path in paths.items()}
    release = crosstab(declared, row=row, column=columns, options=options, out=case.out)
    assert counts(release) == COUNTS


def test_with_padding_counts_are_the_same_and_each_ledger_has_the_view(tmp_path: Path) -> None:
    case, paths = codeshared(tmp_path)
    declared = study(bounds={"rows": 1}, column={"parties": PARTIES}, privacy=PADDED)
    columns = {name: case.source(path) for name, path in paths.items()}
    with keys_at_hand():
        row = case.source(case.tables["row"])
        release = crosstab(declared, row=row, column=columns, options=OPTIONS, out=case.out)
    assert counts(release) == COUNTS
    view = release.manifest["view"]
    assert view["shown"] == 1 and view["combinations_of_parties"] == 3
    for name in ("row", "jal", "hac"):
        (account,) = [
            one for one in Ledger(case.ledger).show() if one.dataset.startswith(f"small/{name}")
        ]
        assert account.spent == 5


def test_the_order_of_the_study_decides(tmp_path: Path) -> None:
    case, paths = codeshared(tmp_path)
    declared = study(bounds={"rows": 1}, column={"parties": PARTIES[::-1]})
    with keys_at_hand():
        release = crosstab(declared, row=case.tables["row"], column=paths, options=OPTIONS)
    assert counts(release) == {("a", "x"): 1, ("a", "y"): 1, ("b", "x"): 0, ("b", "y"): 1}


def test_each_party_debits_its_data_set_once(tmp_path: Path) -> None:
    case, paths = codeshared(tmp_path)
    declared = study(noise="laplace", bounds={"rows": 1}, column={"parties": PARTIES})
    columns = {name: case.source(path) for name, path in paths.items()}
    with keys_at_hand():
        crosstab(declared, row=case.source(case.tables["row"]), column=columns, options=OPTIONS)
    spent = {name: Ledger(case.ledger).spent(f"small/{name}") for name in ("row", "jal", "hac")}
    assert set(spent.values()) == {1}


def test_a_table_for_each_party_and_for_no_other_is_asked_for(tmp_path: Path) -> None:
    case, paths = codeshared(tmp_path)
    declared = study(bounds={"rows": 1}, column={"parties": PARTIES})
    for column in (paths["jal"], {"jal": paths["jal"]}, {**paths, "ana": paths["jal"]}):
        with pytest.raises(InputError, match="the study's column parties are jal, hac"):
            crosstab(declared, row=case.tables["row"], column=column, options=OPTIONS)
