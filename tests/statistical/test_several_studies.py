"""The shipped studies of several parties, and of sums, from tables to report, with their noise.

On the laptop's world: what is published is what SQL counts plus noise of the declared size, no more
and no less; each party's ledger is debited once; the files bear a check, and the report shows them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from omegaconf import OmegaConf
from scipy import stats

from tests.case import KEY_BITS
from tests.hokkaido.needs.counting import count, count_spend
from tests.hokkaido.needs.country import CONF, plan_of
from tests.hokkaido.world.years import ROWS
from tests.hokkaido.world.years import count as count_year
from tests.sizes import slow
from tests.statistical.laptop import laptop_world
from xstat_ray import Options, Release, Source, crosstab
from xstat_ray.federation.verify import verify
from xstat_ray.hokkaido.report.make import PAGE, read, write
from xstat_ray.hokkaido.world.build import build
from xstat_ray.privacy.ledger import Ledger

STUDIES = ("two_airlines", "two_operators", "spend", "donation")
LEVEL = 1e-6
"""Chance that a right release fails a test: the noise is drawn afresh."""


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("laptop") / "tables"
    build(laptop_world(), folder, map, lambda _: None)
    # Nights that leave no choice between municipalities to chance, which SQL would make otherwise.
    rows = pq.read_table(folder / ROWS)
    nights = 100 * rows["nights"].to_numpy().astype(int) + np.arange(len(rows)) % 100
    place = rows.schema.get_field_index("nights")
    pq.write_table(rows.set_column(place, "nights", pa.array(nights)), folder / ROWS)
    return folder


def exact(name: str, tables: Path) -> NDArray[np.int64]:
    """(cells, width) counts by SQL, then sums of values less mid."""
    if name == "spend":
        return count_spend(plan_of(name).study, tables)
    if name == "donation":
        return count_year(plan_of(name).study, tables).reshape(plan_of(name).study.cells, -1)
    # The customers of two operators are those of one.
    return count(plan_of("doto_movement" if name == "two_operators" else name).study, tables)


def sources(name: str, tables: Path, folder: Path) -> dict[str, Any]:
    """The tables of all parties as the study file names them, each with a ledger of its own."""
    shipped = OmegaConf.load(CONF / f"{name}.yaml")
    shipped.tables = str(tables)
    data: Any = OmegaConf.to_container(shipped.data, resolve=True)
    made = {}
    for side, keys in data.items():
        excluded = keys.get("exclude", ())

        def source(party: str, path: str, excluded: Any = excluded) -> Source:
            own = excluded[party] if isinstance(excluded, Mapping) else excluded
            return Source(path, tuple(own), ledger=folder / f"{party}.sqlite")

        paths = keys["path"]
        several = isinstance(paths, Mapping)
        made[side] = (
            {party: source(party, path) for party, path in paths.items()}
            if several
            else source(side, paths)
        )
    return made


def ledgers(given: Mapping[str, Any]) -> Sequence[Path]:
    """The ledgers of all parties."""
    one_side = [one.values() if isinstance(one, Mapping) else (one,) for one in given.values()]
    return [source.ledger for side in one_side for source in side]


def of_the_declared_size(noise: NDArray[np.float64], kind: str) -> None:
    """Check noise in standard errors: centred, and of variance one."""
    beyond = stats.norm.isf(LEVEL / 2)
    of_squares = {"gaussian": 2, "laplace": 5}[kind]
    assert abs(noise.mean()) < beyond / np.sqrt(noise.size)
    assert abs((noise**2).mean() - 1) < beyond * np.sqrt(of_squares / noise.size)


def noise_of(release: Release, counted: NDArray[np.int64]) -> NDArray[np.float64]:
    """The noise of all cells in standard errors."""
    table = release.statistics
    noisy, stderr = (table[name].to_numpy() for name in ("noisy", "stderr"))
    return (noisy - counted.ravel()) / stderr


def intervals_hold(release: Release, counted: NDArray[np.int64]) -> None:
    """Check that 95 % of the published intervals, or more, hold what was counted."""
    table = release.statistics
    shown = ~table["suppressed"].to_numpy()
    assert shown.sum() >= 3
    low, high = (table[name].to_numpy()[shown] for name in ("low95", "high95"))
    truth = counted.ravel()[shown]
    missed = ((truth < low) | (high < truth)).sum()
    assert missed <= stats.binom.isf(LEVEL, shown.sum(), 0.05)


@slow
@pytest.mark.parametrize("name", STUDIES)
def test_from_tables_to_the_report(name: str, tables: Path, tmp_path: Path) -> None:
    plan = plan_of(name)
    given = sources(name, tables, tmp_path)
    out = tmp_path / "out"
    release = crosstab(plan.study, **given, out=out, options=Options(key_bits=KEY_BITS, shards=4))
    counted = exact(name, tables)
    counts = counted[:, : plan.study.slots]
    assert counts.sum() > 500
    noise = noise_of(release, counts)
    of_the_declared_size(noise, plan.mechanism.noise)
    for wrong in (0.5 * noise, 1.5 * noise, noise + 0.5):
        with pytest.raises(AssertionError):
            of_the_declared_size(wrong, plan.mechanism.noise)
    intervals_hold(release, counts)

    # The budget: what the plan declares, of each party's data set, once.
    report = verify(out, {}, ledgers=ledgers(given))
    assert report.wrong == [] and not any("were debited" in line for line in report.not_shown)
    for terms, place in zip(plan.study.parties, ledgers(given), strict=True):
        debits = [one for one in Ledger(place).history(terms.dataset) if one.kind == "debit"]
        assert [one.release for one in debits] == [release.manifest["release"]]

    written = write(read([out]), tmp_path / "map", language="ja", geofiles=False, figures=True)
    page = (tmp_path / "map" / PAGE).read_text()
    assert dict(plan.study.title)["ja"] in page
    assert any(path.name.startswith(f"map_{name}") for path in written)
