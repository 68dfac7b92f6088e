"""The laptop's Hokkaido in a bucket is counted as it is on a disk: in this process, on Ray, between domains."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from tests.case import KEY_BITS, use_key
from tests.federation.domains import Domains
from tests.federation.test_laptop_world import laptop, study_of
from tests.object_store import Bucket
from tests.runtime.fault_cluster import LABELS, Machine
from xstat_ray import Options, crosstab
from xstat_ray.crypto.keygen import generate
from xstat_ray.hokkaido.world.build import build
from xstat_ray.inputs.source import Source
from xstat_ray.model.study import Study
from xstat_ray.planning.cluster import Cluster
from xstat_ray.publication.release import read

pytestmark = pytest.mark.slow
OPTIONS = Options(key_bits=KEY_BITS, shards=4, allow_no_noise=True)


def unbounded() -> Study:
    """The study with bounds that never bind, so that counts do not depend on what is drawn."""
    study = study_of(laptop(), "off")
    return replace(study, bounds=replace(study.bounds, rows=50, boardings=100, per_column=100))


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
def expected(world: Path, tmp_path_factory: pytest.TempPathFactory) -> pa.Table:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("expected"))
        release = crosstab(unbounded(), **sources(world), options=OPTIONS)
    assert sum(release.statistics["noisy"].to_pylist()) > 1000
    return release.statistics


@pytest.fixture
def stored(
    world: Path, bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Source]:
    for name in ("operator", "airline"):
        bucket.copy(world / name, f"world/{name}")
    monkeypatch.chdir(tmp_path)
    return sources(f"s3://{bucket.name}/world", bucket.options)


def test_in_this_process(stored, bucket, expected):
    out = bucket.uri("releases/local")
    crosstab(unbounded(), **stored, out=out, options=OPTIONS)
    assert read(out).statistics.equals(expected)


@pytest.mark.ray
def test_on_ray_with_two_nodes_of_each_kind(stored, bucket, expected, tmp_path):
    machine = Machine(tmp_path / "ray", ("row", "column", "none", "none2"))
    out = bucket.uri("releases/ray")
    try:
        cluster = Cluster(machine.address, labels=LABELS, insecure=True)
        options = Options(
            key_bits=KEY_BITS, shards=4, allow_no_noise=True, runtime="ray", cluster=cluster
        )
        crosstab(unbounded(), **stored, out=out, options=options)
    finally:
        machine.raylets.shutdown()
    assert read(out).statistics.equals(expected)


def test_between_domains(stored, bucket, expected, tmp_path, umask_kept, monkeypatch):
    use_key(generate(KEY_BITS), monkeypatch.setattr)
    domains = Domains(tmp_path / "domains", unbounded(), stored, shards=4)
    domains.location = bucket.uri("shared")
    domains.out = bucket.uri("releases/domains")
    monkeypatch.setattr(
        Domains,
        "messages",
        lambda self: [name for name in bucket.objects("shared") if name.endswith(".msg")],
    )
    domains.run()
    assert read(domains.out).statistics.equals(expected)
