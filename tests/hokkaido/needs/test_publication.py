"""Releases as input: what is read, and every folder that is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.case import COUNTS, Case, study
from xstat_ray.errors import InputError
from xstat_ray.hokkaido.needs.publication import Publication, read_counts, read_publication

ASKED = {"key": "releases.catchment", "remedy": "Make one with: xstat-ray crosstab"}


def read(folder: Path, dimensions: tuple[str, ...] = ("area", "kind")) -> Publication:
    """Read a release of the small study."""
    return read_publication(folder, dimensions, **ASKED)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run the job with noise and without, and name the folder of both releases."""
    case = Case(tmp_path_factory.mktemp("case"))
    for noise in ("laplace", "off"):
        case.run(study(noise=noise), out=case.folder / noise)
    return case.folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    """Copy the release with noise, to spoil it."""
    for name in ("manifest.json", "plan.json", "statistics.parquet"):
        (tmp_path / name).write_bytes((made / "laplace" / name).read_bytes())
    return tmp_path


def test_a_finished_release_is_read(made):
    release = read(made / "laplace")
    assert (release.study, release.noise_free, len(release.table)) == ("small", False, 4)
    assert (
        release.release == json.loads((made / "laplace" / "manifest.json").read_text())["release"]
    )


def test_a_release_without_noise_says_so(made):
    release = read(made / "off")
    assert release.noise_free
    counts = read_counts(release.table, {"area": ("a", "b"), "kind": ("x", "y")})
    assert counts.value.tolist() == [
        [COUNTS["a", "x"], COUNTS["a", "y"]],
        [COUNTS["b", "x"], COUNTS["b", "y"]],
    ]


def edit(name: str, **changes: object) -> Callable[[Path], None]:
    """Change a JSON file; None removes a key."""

    def spoil(folder: Path) -> None:
        content = json.loads((folder / name).read_text())
        (folder / name).write_text(
            json.dumps({k: v for k, v in (content | changes).items() if v is not None})
        )

    return spoil


def remove(name: str) -> Callable[[Path], None]:
    """Remove a file."""
    return lambda folder: (folder / name).unlink()


def unfinished(folder: Path) -> None:
    """Make the release an unfinished one."""
    (folder / "unfinished").mkdir()


def private(folder: Path) -> None:
    """Replace the release by what a party holds: rows of people."""
    for name in ("manifest.json", "plan.json", "statistics.parquet"):
        (folder / name).unlink()
    pq.write_table(pa.table({"subscriber": ["+81"], "area": ["a"]}), folder / "presence.parquet")


def rows_of_people(folder: Path) -> None:
    """Put rows of people in the place of the statistics."""
    pq.write_table(
        pa.table({"subscriber": ["+81"], "area": ["a"], "kind": ["x"]}),
        folder / "statistics.parquet",
    )


def fewer_rows(folder: Path) -> None:
    """Leave out a row of the statistics."""
    file = folder / "statistics.parquet"
    pq.write_table(pq.read_table(file).slice(1), file)


def text(folder: Path) -> None:
    """Put text in the place of the statistics."""
    (folder / "statistics.parquet").write_text("no table")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (remove("manifest.json"), "no published release: there is no manifest.json"),
        (remove("statistics.parquet"), "no published release: there is no statistics.parquet"),
        (remove("plan.json"), "plan.json, key releases.catchment"),
        (private, "Only published statistics are read. Make one with"),
        (rows_of_people, "column noisy"),
        (unfinished, "not finished (file "),
        (edit("manifest.json", study_digest="00"), "plan and manifest belong to different studies"),
        (edit("manifest.json", study=None), "the manifest lacks study"),
        (edit("manifest.json", noise_free=True), "contradict each other about the noise"),
        (fewer_rows, "3 rows, and the plan says 4"),
        (text, "cannot be read as Parquet"),
    ],
)
def test_anything_else_is_refused_with_file_and_key(folder, spoil, message):
    read(folder)
    spoil(folder)
    with pytest.raises(InputError) as refused:
        read(folder)
    assert message in str(refused.value)
    assert str(folder) in str(refused.value) and "releases.catchment" in str(refused.value)
    assert "+81" not in str(refused.value)


def test_a_release_without_its_stamp_is_refused(made, tmp_path):
    for name in ("manifest.json", "plan.json"):
        (tmp_path / name).write_bytes((made / "off" / name).read_bytes())
    table = pq.read_table(made / "off" / "statistics.parquet").replace_schema_metadata(None)
    pq.write_table(table, tmp_path / "statistics.parquet")
    with pytest.raises(InputError, match="contradict each other about the noise"):
        read(tmp_path)


def test_a_missing_folder_and_another_study(folder):
    with pytest.raises(InputError, match="does not exist .*Make one with"):
        read(folder / "nowhere")
    with pytest.raises(
        InputError, match="no such column: it belongs to another study .*column airport"
    ):
        read(folder, ("area", "airport"))


def test_counts_are_summed_over_what_is_not_named_and_missing_ones_are_unknown():
    table = pa.table({
        "area": ["a", "a", "b", "a"], "kind": ["x", "y", "x", "z"],
        "noisy": [5, -2, 7, 100], "stderr": [3.0, 4.0, 1.0, 9.0],
        "suppressed": [False, True, False, False],
    })  # fmt: skip
    both = read_counts(table, {"kind": ("x", "y"), "area": ("b", "a", "c")})
    np.testing.assert_equal(both.value, [[7, 5, np.nan], [np.nan, -2, np.nan]])
    np.testing.assert_equal(both.variance, [[1, 9, np.nan], [np.nan, 16, np.nan]])
    # Suppressed counts are part of a sum: their noisy values are unbiased.
    whole = read_counts(table, {"area": ("a", "b")})
    assert (whole.value.tolist(), whole.stderr.tolist()) == ([103, 7], [np.sqrt(9 + 16 + 81), 1])
    np.testing.assert_equal(both.sum(0).value, [np.nan, 3, np.nan])
    assert both.scaled(2).stderr[0, 1] == 6
