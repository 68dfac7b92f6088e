"""A reader finds no withheld cell in the smoothed ones: neither shown, nor by subtraction.

The reader has both published tables and knows the areas. `noisy` and `unbiased` are published of all
cells and areas on purpose; the attack is on what is withheld, so it uses the other columns.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from tests.adversary.planted.patches import replace_everywhere
from tests.adversary.planted.smoothing import THRESHOLD, withheld_by_itself
from tests.case import study
from xstat_ray.model.messages import Coefficients
from xstat_ray.planning.plan import make_plan
from xstat_ray.publication import publish as module
from xstat_ray.publication.publish import Published, publish

AREAS = tuple(f"a{number:02d}" for number in range(12))
COAST = {"north": AREAS[:5], "south": AREAS[5:8], "west": AREAS[8:]}
KINDS = tuple(f"k{number}" for number in range(8))
DRAWS = 20


def release(seed: int) -> Published:
    """A release of counts near the threshold, with noise of the size of the smallest ones."""
    rng = np.random.default_rng(seed)
    values = {"values": list(AREAS), "hierarchy": {"coast": {k: list(v) for k, v in COAST.items()}}}
    declared = study(
        noise="laplace",
        row={"dimensions": [{"name": "area", **values}]},
        column={"dimensions": [{"name": "kind", "values": list(KINDS)}]},
        privacy={"mechanism": "tree", "suppress_below": THRESHOLD, "smooth": True},
    )
    counts = rng.poisson(rng.gamma(1, 20, (len(AREAS), 1)) @ np.ones((1, len(KINDS))))
    sums = [counts, np.array([counts[member(name)].sum(axis=0) for name in COAST])]
    exact = np.concatenate([*sums, counts.sum(axis=0)[None]])
    noisy = exact + np.rint(rng.normal(0, 3, exact.shape)).astype(np.int64)
    return publish(make_plan(declared, key_bits=2048), Coefficients("00" * 16, 0, noisy))


def member(name: str) -> NDArray[np.bool_]:
    return np.isin(AREAS, COAST[name])


def found_out(tables: Published, column: str) -> int:
    """Number of withheld cells whose value in a column a reader has: it is shown, or follows from
    published sums of areas and the cells that are shown."""
    withheld = grid(tables.cells, "suppressed").astype(bool)
    shown = ~np.isnan(grid(tables.cells, column))
    found = int((shown & withheld).sum())
    for kind, name in enumerate(KINDS):
        unknown = ~shown[:, kind]
        sums = [
            np.ones(len(AREAS), bool) if row["level"] == "total" else member(row["area"])
            for row in tables.areas.to_pylist()
            if row["kind"] == name and row["estimate"] is not None
        ]
        if sums and unknown.any():
            found += int(determined(np.array(sums)[:, unknown]).sum())
    return found


def determined(sums: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(unknowns,) those that follow from (sums, unknowns) equations: unit vectors in their span."""
    equations = sums.astype(float)
    projection = np.linalg.pinv(equations) @ equations
    known: NDArray[np.bool_] = np.isclose(np.diag(projection), 1)
    return known


def grid(table: pa.Table, column: str) -> NDArray[np.float64]:
    """(areas, kinds) values of a column, NaN where there is none."""
    values = [np.nan if value is None else float(value) for value in table[column].to_pylist()]
    return np.array(values).reshape(len(AREAS), len(KINDS))


def test_no_withheld_cell_is_found_in_the_smoothed_ones() -> None:
    for seed in range(DRAWS):
        tables = release(seed)
        withheld = grid(tables.cells, "suppressed")
        assert 0 < withheld.sum() < withheld.size
        assert found_out(tables, "smoothed") == found_out(tables, "estimate") == 0


def test_the_attack_finds_cells_that_are_withheld_by_their_own_size_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    replace_everywhere(monkeypatch, module._with_smoothed, withheld_by_itself)
    found = [found_out(release(seed), "smoothed") for seed in range(DRAWS)]
    assert sum(number > 0 for number in found) > DRAWS / 2


def test_the_attack_finds_what_subtraction_tells() -> None:
    # Two equations over three unknowns of which one is alone in the second.
    assert determined(np.array([[1, 1, 1], [1, 1, 0]], bool)).tolist() == [False, False, True]
    assert not determined(np.array([[1, 1, 1]], bool)).any()
