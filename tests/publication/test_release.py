"""The files of a release hold it whole, are the same again, or are not there."""

from __future__ import annotations

import json

import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from tests.publication.small import plan, tables
from xstat_ray.errors import InputError
from xstat_ray.publication import release as module
from xstat_ray.publication.release import Release, read, write


@pytest.fixture
def release() -> Release:
    return Release(*tables(plan()), {"release": "00" * 16}, plan().as_dict())


def test_the_same_coefficients_give_the_same_bytes(release, tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write(Release(*tables(plan()), release.manifest, release.plan), tmp_path / name)
    files = [
        {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}
        for name in ("one", "two")
    ]
    assert files[0] == files[1]
    assert files[0].keys() == {
        *("statistics.parquet", "statistics.csv", "areas.parquet", "areas.csv"),
        *("manifest.json", "plan.json"),
    }


def test_the_files_hold_the_release(release, tmp_path):
    write(release, tmp_path)
    assert pq.read_table(tmp_path / "statistics.parquet").equals(release.statistics)
    assert pq.read_table(tmp_path / "areas.parquet").equals(release.areas)
    from_csv = pa_csv.read_csv(
        tmp_path / "statistics.csv", convert_options=pa_csv.ConvertOptions(strings_can_be_null=True)
    )
    assert from_csv.to_pydict() == release.statistics.to_pydict()
    assert json.loads((tmp_path / "plan.json").read_text()) == release.plan
    assert json.loads((tmp_path / "manifest.json").read_text()) == release.manifest
    assert read(tmp_path) == Release(*tables(plan()), release.manifest, release.plan, tmp_path)


@pytest.mark.parametrize(
    "missing", ["plan.json", "manifest.json", "areas.parquet", "statistics.parquet"]
)
def test_a_folder_that_lacks_a_file_holds_no_release(release, tmp_path, missing):
    write(release, tmp_path)
    (tmp_path / missing).unlink()
    with pytest.raises(InputError, match="no release can be read from the folder") as caught:
        read(tmp_path)
    assert caught.value.file == str(tmp_path)


@pytest.mark.parametrize(
    "failing", ["plan.json", "manifest.json", "areas.csv", "statistics.csv", "statistics.parquet"]
)
def test_a_full_disk_leaves_no_statistics(release, tmp_path, monkeypatch, failing):
    write_whole = module.write_whole

    def full(path, content):
        if path.name == failing:
            raise OSError(28, "No space left on device")
        write_whole(path, content)

    monkeypatch.setattr(module, "write_whole", full)
    with pytest.raises(
        InputError,
        match="cannot write the output: No space left on device .*the same command resumes",
    ):
        write(release, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} <= {"plan.json"}
