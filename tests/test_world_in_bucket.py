"""The laptop's Hokkaido in a bucket is counted as it is on a disk; real tables in one, on Ray, as they are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pytest

from tests.case import KEY_BITS
from tests.federation.test_laptop_world import laptop, study_of
from tests.object_store import Bucket
from tests.runtime.fault_cluster import LABELS, Machine
from xstat_ray import Options, crosstab
from xstat_ray.hokkaido.world.build import build
from xstat_ray.inputs.source import Source
from xstat_ray.planning.cluster import Cluster
from xstat_ray.publication.release import read

pytestmark = pytest.mark.slow
OPTIONS = Options(key_bits=KEY_BITS, shards=4, allow_no_noise=True)


@pytest.fixture(scope="module")
def same_seed() -> Iterator[None]:
    """Both runs bound the same people's contributions to the same rows."""
    with pytest.MonkeyPatch.context() as patch:
        fixed = SimpleNamespace(urandom=lambda size: bytes(range(size)))
        patch.setattr("xstat_ray.roles.party.os", fixed)
        yield


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    build(laptop(), folder, map, lambda _: None)
    return folder


def sources(where: Path | str, options: str = "") -> dict[str, Source]:
    """The tables of both parties below a place."""

    def at(name: str) -> str:
        return f"{where}/{name}{options}"

    lists = (at("operator/opt_out.parquet"), at("operator/not_used.parquet"))
    return {
        "row": Source(at("operator/presence"), lists),
        "column": Source(at("airline/boardings.parquet"), at("airline/no_consent.parquet")),
    }


@pytest.fixture(scope="module")
def expected(world: Path, same_seed: None, tmp_path_factory: pytest.TempPathFactory) -> pa.Table:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("expected"))
        release = crosstab(study_of(laptop(), "off"), **sources(world), options=OPTIONS)
    assert sum(release.statistics["noisy"].to_pylist()) > 1000
    return release.statistics


@pytest.mark.ray
def test_real_tables_on_ray_with_nodes_of_each_kind(
    nycflights, nycflights_expected, bucket, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    tables = {
        "row": bucket.copy(nycflights.row, "rows/part-0.parquet").replace("/part-0.parquet", ""),
        "column": bucket.copy(nycflights.column, "columns.parquet"),
    }
    (tmp_path / "ray").mkdir()
    machine = Machine(tmp_path / "ray", ("row", "column", "none", "none2"))
    out = bucket.uri("releases/ray")
    try:
        cluster = Cluster(machine.address, labels=LABELS, insecure=True)
        options = Options(
            key_bits=KEY_BITS, shards=2, allow_no_noise=True, runtime="ray", cluster=cluster
        )
        crosstab(nycflights.study, **tables, out=out, options=options)
    finally:
        machine.raylets.shutdown()
    assert read(out).statistics["noisy"].to_pylist() == nycflights_expected.ravel().tolist()


def test_the_laptops_world(world: Path, bucket: Bucket, expected, tmp_path, monkeypatch):
    for name in ("operator", "airline"):
        bucket.copy(world / name, f"world/{name}")
    monkeypatch.chdir(tmp_path)
    stored = sources(f"s3://{bucket.name}/world", bucket.options)
    out = bucket.uri("releases/local")
    crosstab(study_of(laptop(), "off"), **stored, out=out, options=OPTIONS)
    assert read(out).statistics.equals(expected)
