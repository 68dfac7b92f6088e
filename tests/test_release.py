from __future__ import annotations

import json

import numpy as np
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from xstat_ray import release as module
from xstat_ray.errors import InputError
from xstat_ray.inputs.study_file import parse
from xstat_ray.messages import Coefficients
from xstat_ray.plan import make_plan
from xstat_ray.release import Release, summary, tabulate, write

NOISY = [[-3, 10], [9, 2], [4, 30]]


def plan(noise="laplace", suppress_below=5):
    row = {"id": "id", "dimensions": [{"name": "area", "values": ["a", "b", "東京, 区"]}]}
    column = {"id": "id", "dimensions": [{"name": "kind", "values": ["x", "y"]}]}
    privacy = {"noise": noise, "epsilon": "1/2", "suppress_below": suppress_below}
    study = {"name": "small", "row": row, "column": column, "bounds": {"persons": 100}}
    return make_plan(parse({"study": study, "privacy": privacy}, origin="small.yaml"), key_bits=2048)


def table(plan, noisy=NOISY):
    return tabulate(plan, Coefficients(release="00" * 16, first=0, values=np.array(noisy)))


@pytest.fixture
def release():
    return Release(table(plan()), {"release": "00" * 16}, plan().as_dict())


def test_labels_counts_and_types():
    result = table(plan())
    assert result["area"].to_pylist() == ["a", "a", "b", "b", "東京, 区", "東京, 区"]
    assert result["kind"].to_pylist() == ["x", "y"] * 3
    assert result["noisy"].to_pylist() == np.ravel(NOISY).tolist()
    types = {name: str(result.schema.field(name).type) for name in ("noisy", "estimate", "stderr", "suppressed")}
    assert types == {"noisy": "int64", "estimate": "int64", "stderr": "double", "suppressed": "bool"}
    # Discrete Laplace of scale 2: variance 2 q / (1 - q)^2 with q = exp(-1/2).
    q = np.exp(-0.5)
    assert result["stderr"].to_pylist() == pytest.approx([np.sqrt(2 * q) / (1 - q)] * 6)


def test_estimates_are_not_negative_keep_the_total_and_are_null_where_suppressed():
    every = np.reshape(table(plan(suppress_below=0))["estimate"].to_pylist(), (3, 2))
    assert every.min() >= 0
    assert every.sum(axis=0).tolist() == [10, 42]
    result = table(plan(suppress_below=5))
    small = (every < 5).ravel().tolist()
    assert True in small
    assert False in small
    assert result["suppressed"].to_pylist() == small
    assert result["estimate"].to_pylist() == [None if s else e for s, e in zip(small, every.ravel(), strict=True)]


def test_without_noise_the_estimate_is_the_count():
    result = table(plan("off", 0), [[0, 10], [9, 2], [4, 30]])
    assert result["estimate"].to_pylist() == result["noisy"].to_pylist()
    assert set(result["stderr"].to_pylist()) == {0.0}
    assert b"not differentially private" in result.schema.metadata[b"WARNING"]


def test_the_same_coefficients_give_the_same_bytes(release, tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write(Release(table(plan()), release.manifest, release.plan), tmp_path / name)
    files = [{path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in ("one", "two")]
    assert files[0] == files[1]
    assert files[0].keys() == {"statistics.parquet", "statistics.csv", "manifest.json", "plan.json"}


def test_the_files_hold_the_release(release, tmp_path):
    write(release, tmp_path)
    assert pq.read_table(tmp_path / "statistics.parquet").equals(release.statistics)
    from_csv = pa_csv.read_csv(
        tmp_path / "statistics.csv", convert_options=pa_csv.ConvertOptions(strings_can_be_null=True)
    )
    assert from_csv.to_pydict() == release.statistics.to_pydict()
    assert json.loads((tmp_path / "plan.json").read_text()) == release.plan
    assert json.loads((tmp_path / "manifest.json").read_text()) == release.manifest


@pytest.mark.parametrize("failing", ["plan.json", "manifest.json", "statistics.csv", "statistics.parquet"])
def test_a_full_disk_leaves_no_statistics(release, tmp_path, monkeypatch, failing):
    write_whole = module.write_whole

    def full(path, content):
        if path.name == failing:
            raise OSError(28, "No space left on device")
        write_whole(path, content)

    monkeypatch.setattr(module, "write_whole", full)
    with pytest.raises(InputError, match="cannot write the output: No space left on device .*the same command resumes"):
        write(release, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} <= {"plan.json"}


def test_the_summary_is_of_the_largest_estimates_with_the_interval_around_the_noisy_count(release):
    half = 1.96 * plan().mechanism.stderr
    (first, estimate, low, high), *others = summary(release, count=3)
    assert first == "東京, 区 / y"
    noisy = release.statistics["noisy"].to_pylist()[5]
    assert (low, high) == pytest.approx((noisy - half, noisy + half))
    estimates = [estimate, *(other[1] for other in others)]
    assert estimates == sorted((e for e in release.statistics["estimate"].to_pylist() if e), reverse=True)[:3]
    assert all(0 <= low <= high for _, _, low, high in others)


def test_nothing_is_summarised_where_everything_is_suppressed():
    assert summary(Release(table(plan(suppress_below=1000)), {}, {})) == []
