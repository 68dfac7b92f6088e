"""What a study would publish of counts that are known: how much, and how far off."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.inputs.studies import SIMPLE, changed
from xstat_ray.errors import InputError, StudyError
from xstat_ray.inputs.study_file import parse
from xstat_ray.model.study import Study
from xstat_ray.planning.sweep import make_sweep
from xstat_ray.publication.rehearsal import PastRelease

AREAS = [f"area {number}" for number in range(40)]
COUNTS = np.zeros((40, 2), np.int64)
COUNTS[:3, 0] = 4000, 5000, 6000
COUNTS[5:7, 1] = 3000, 7000


def raw(epsilon: float = 1, publish: str = "distinct"):
    """A study of 40 areas, in two towns, and two columns."""
    towns = {"town": {"west": AREAS[:20], "east": AREAS[20:]}}
    dimension = {"name": "area", "values": AREAS, "hierarchy": towns}
    made = changed(SIMPLE, "study.row.dimensions.0", dimension | {"column": "area"})
    privacy = {"epsilon": epsilon, "suppress_below": 10, "publish": publish}
    return made | {"privacy": privacy}


def study(epsilon: float = 1, publish: str = "distinct") -> Study:
    return parse(raw(epsilon, publish), origin="s.yaml")


def past(counts: np.ndarray, stderr: float, **changes: list[str]) -> PastRelease:
    """Make the statistics of a release of counts."""
    columns = {
        "area": np.repeat(AREAS, 2),
        "maker": np.tile(["Boeing", "Other"], 40),
        "noisy": counts.ravel(),
        "stderr": np.full(80, stderr),
    }
    return PastRelease(pa.table(columns | changes), Path("past.parquet"))


def test_of_large_counts_all_are_published_and_nearly_right():
    shown = past(COUNTS, 0).rehearse(study())
    assert 5 <= shown.cells < 6 and shown.share == 1
    assert shown.error is not None and 0 < shown.error < 0.01


def test_less_budget_publishes_less_of_small_counts_and_errs_more():
    small = past(COUNTS // 200, 0)
    much, little = (small.rehearse(study(epsilon)) for epsilon in (2, 0.25))
    assert much.cells > little.cells and much.share > little.share
    # Of eighty cells of nobody one may be published by chance now and then.
    none = past(COUNTS // 1000, 0).rehearse(study(0.01))
    assert none.cells <= 1
    assert none.share <= 0.1


def test_noise_that_is_published_is_off_by_all_of_it():
    """The threshold alone publishes cells of nobody: of ten counts and seventy empty cells."""
    shown = past(COUNTS // 400, 0).rehearse(study(0.02, "all"))
    assert shown.error == np.inf and shown.as_dict()["median_relative_error"] is None


def test_counts_with_noise_are_refined_before_they_stand_for_true_ones():
    rng = np.random.default_rng(3)
    noisy = COUNTS + np.rint(rng.normal(0, 30, COUNTS.shape)).astype(np.int64)
    assert (noisy < 0).any()
    shown = past(noisy, 30).rehearse(study())
    assert shown.cells >= 5 and 0 < shown.share <= 1
    # As they are, negative counts would make the published ones more than all.
    assert past(noisy, 0).rehearse(study()).share != pytest.approx(shown.share, abs=1e-3)


@pytest.mark.parametrize(
    "changes", [{"area": ["elsewhere"] * 80}, {"maker": ["Other"] * 80}, {"area": None}]
)
def test_a_release_of_other_rows_or_columns_is_refused(changes):
    made = past(COUNTS, 0)
    if changes == {"area": None}:
        made = PastRelease(made.table.drop_columns(["area"]), made.file)
    else:
        made = past(COUNTS, 0, **changes)
    with pytest.raises(StudyError, match="other values of (area|maker) than the study"):
        made.rehearse(study())


def test_a_sweep_rehearses_every_point_and_a_point_that_is_refused_none():
    grid = {"privacy.epsilon": [0.5, 2, -1]}
    made = make_sweep(raw(), grid, "s.yaml", past(COUNTS // 200, 0).rehearse)
    little, much, refused = (point.shown for point in made.points)
    assert little is not None and much is not None and refused is None
    assert made.as_dict()["points"][1]["published"]["cells"] == round(much.cells, 1)


def test_the_file_or_the_folder_of_a_release_is_read(tmp_path):
    table = past(COUNTS, 2.5).table
    pq.write_table(table, tmp_path / "statistics.parquet")
    for path in (tmp_path, tmp_path / "statistics.parquet"):
        assert PastRelease.read(path, "sweep.data").table.equals(table)
    (tmp_path / "text").write_text("no table")
    pq.write_table(table.drop_columns(["stderr"]), tmp_path / "other.parquet")
    for name in ("text", "other.parquet", "nowhere"):
        with pytest.raises(InputError, match=f"no statistics of a release.*{name}.*sweep.data"):
            PastRelease.read(tmp_path / name, "sweep.data")
