"""Three domains whose tables, exchange and release lie in buckets: exact, resumed, and without credentials."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.case import COUNTS, Case, counts, study
from tests.federation.domains import RUN, Domains
from tests.object_store import CANARY, Bucket
from tests.sizes import first, slow, thorough
from xstat_ray.crypto.paillier import PrivateKey
from xstat_ray.errors import InputError
from xstat_ray.federation.exchange import Exchange
from xstat_ray.federation.verify import AUDIT
from xstat_ray.publication.release import MANIFEST, PROBE, STATISTICS, read

RELEASE = {
    *("statistics.parquet", "statistics.csv", "areas.parquet", "areas.csv", "plan.json"),
    *(MANIFEST, PROBE, *(f"{AUDIT}/{name}.jsonl" for name in ("row", "column", "aggregator"))),
    f"{AUDIT}/collaboration.json",
}


class Stored(Domains):
    """Domains that share a bucket and keep tables and release in it."""

    def __init__(self, folder: Path, bucket: Bucket, **privacy: object) -> None:
        tables = {
            role: bucket.copy(path, f"tables/{role}.parquet")
            for role, path in Case(folder).tables.items()
        }
        super().__init__(folder, study(privacy={"padding": "off", **privacy}), tables)
        self.bucket = bucket
        self.location = bucket.uri("shared")
        self.out = bucket.uri("releases/first")

    def messages(self) -> list[str]:
        return [name for name in self.bucket.objects(f"shared/{RUN}") if name.endswith(".msg")]

    def released(self) -> dict[str, bytes]:
        return self.bucket.objects("releases/first")


@pytest.fixture
def stored(quick_key: PrivateKey, tmp_path: Path, bucket: Bucket) -> Stored:
    return Stored(tmp_path, bucket)


@thorough
def test_tables_exchange_and_release_are_in_a_bucket(stored):
    stored.run()
    assert counts(read(stored.out)) == COUNTS
    assert stored.released().keys() == RELEASE
    assert not stored.exchange.exists() and not (stored.folder / "out").exists()
    made = [path.read_bytes() for path in stored.folder.rglob("*") if path.is_file()]
    assert not any(
        CANARY.encode() in content for content in [*made, *stored.bucket.objects().values()]
    )


STORED_OBJECTS = [
    "row-column/000000.msg",
    "aggregator-column/000000.msg",
    f"first/{STATISTICS}",
    f"first/{MANIFEST}",
    "column-row/000002.msg",
    f"first/{AUDIT}/row.jsonl",
]


@thorough
@pytest.mark.parametrize("name", first(1, STORED_OBJECTS, slow))
def test_a_run_that_a_store_stops_goes_on_when_it_takes_files_again(stored, name):
    """What was handed out stays as it is."""

    def fault(method, path):
        return "403 Forbidden" if method == "PUT" and name in path else None

    stored.bucket.server.fault = fault
    with pytest.raises(InputError, match="access is denied") as caught:
        stored.run()
    assert CANARY not in str(caught.value)
    assert MANIFEST not in stored.released()
    with pytest.raises(InputError, match="no release can be read"):
        read(stored.out)
    before = stored.bucket.objects(f"shared/{RUN}")
    stored.bucket.server.fault = lambda method, path: None
    stored.run()
    after = stored.bucket.objects(f"shared/{RUN}")
    assert all(after[key] == content for key, content in before.items() if key.endswith(".msg"))
    assert counts(read(stored.out)) == COUNTS and stored.released().keys() == RELEASE


@thorough
def test_a_place_with_a_release_is_refused_before_the_budget_is_spent(tmp_path, bucket, quick_key):
    stored = Stored(tmp_path, bucket, noise="laplace")
    bucket.put(f"releases/first/{MANIFEST}", b'{"release": "another"}')
    with pytest.raises(InputError, match="already holds a release"):
        stored.run()
    assert stored.spent() == {"row": 0, "column": 0}


def test_a_place_with_credentials_is_refused_and_not_repeated():
    with pytest.raises(InputError, match="the exchange cannot be used: the URI has cred") as caught:
        Exchange.at(f"s3://AKIA:{CANARY}@bucket/shared", "run")
    assert CANARY not in str(caught.value)
