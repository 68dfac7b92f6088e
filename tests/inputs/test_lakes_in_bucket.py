"""Tables of Delta and Iceberg that lie in a bucket, read by their makers' packages."""

from __future__ import annotations

from pathlib import Path

import deltalake
import pyarrow as pa
import pytest
from pyiceberg.catalog import load_catalog

from tests.inputs.test_lakes import NEW, OLD, ROWS_OLD, ids
from tests.object_store import CANARY, Bucket
from xstat_ray.errors import InputError
from xstat_ray.inputs.lake_stores import LakeStore
from xstat_ray.inputs.lakes import Delta, Iceberg
from xstat_ray.inputs.stream_copy import copy


def test_each_version_of_a_delta_table_in_a_bucket_is_what_it_was(bucket: Bucket, tmp_path: Path):
    deltalake.write_deltalake(tmp_path / "lake", OLD, partition_by=["area"])
    deltalake.write_deltalake(tmp_path / "lake", NEW, mode="overwrite")
    uri = bucket.copy(tmp_path / "lake", "presence")
    assert ids(Delta(uri, 0), tmp_path / "0") == ("delta-version-0", ROWS_OLD)
    assert ids(Delta(uri), tmp_path / "newest") == ("delta-version-1", [("3", "a")])
    assert str(Delta(uri)) == f"s3://{bucket.name}/presence (Delta)"


def test_each_snapshot_of_an_iceberg_table_in_a_bucket_is_what_it_was(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    catalog = load_catalog(
        "operator",
        type="sql",
        uri=f"sqlite:///{tmp_path}/catalog.db",
        warehouse=f"s3://{bucket.name}/warehouse",
        **{"s3.endpoint": bucket.endpoint, "s3.region": "us-east-1"},
    )
    catalog.create_namespace("mobile")
    rows = OLD.select(["id", "area"])
    table = catalog.create_table("mobile.presence", rows.schema)
    table.append(rows)
    first = table.current_snapshot().snapshot_id
    table.append(pa.table({"id": ["3"], "area": ["a"]}))
    uri = table.metadata_location + bucket.options
    version, found = ids(Iceberg(uri, first), tmp_path / "first")
    assert (version, found) == (f"iceberg-snapshot-{first}", ROWS_OLD)
    assert len(ids(Iceberg(uri), tmp_path / "newest")[1]) == 3
    # The server may also be named by the environment.
    monkeypatch.setenv("AWS_ENDPOINT_URL", bucket.endpoint)
    assert ids(Iceberg(table.metadata_location, first), tmp_path / "env")[1] == ROWS_OLD


@pytest.mark.parametrize("kind", [Delta, Iceberg])
def test_a_lake_that_cannot_be_read_is_told_without_credentials(
    kind: type[Delta] | type[Iceberg], bucket: Bucket, tmp_path: Path
):
    bucket.server.fault = lambda method, path: "403 Forbidden"
    with pytest.raises(InputError) as caught:
        copy(kind(bucket.uri("gone/v1.metadata.json")), {"id": "id"}, tmp_path / "copy")
    assert CANARY not in str(caught.value) and bucket.endpoint not in str(caught.value)


@pytest.mark.parametrize(
    ("uri", "problem"),
    [
        ("s3://key:secret@bucket/lake", "credentials"),
        ("s3://bucket/lake?key=1", "settings that are not among"),
        ("ftp://host/lake", "cannot be served"),
        ("gs://bucket/lake?anonymous=true", "served for s3:// alone"),
    ],
)
@pytest.mark.parametrize("kind", [Delta, Iceberg])
def test_a_uri_that_cannot_be_served_is_refused(
    kind: type[Delta] | type[Iceberg], uri: str, problem: str
):
    with pytest.raises(InputError, match=problem) as caught:
        kind(uri).check()
    assert "secret" not in str(caught.value)


def test_settings_of_a_uri_reach_the_packages():
    place = LakeStore.of("s3://b/t?endpoint_override=host:9000&scheme=http&anonymous=true")
    assert place.uri == "s3://b/t"
    assert place.for_delta == {
        "AWS_ENDPOINT_URL": "http://host:9000",
        "AWS_REGION": "us-east-1",
        "AWS_ALLOW_HTTP": "true",
        "AWS_SKIP_SIGNATURE": "true",
    }
    assert place.for_iceberg["s3.anonymous"] == "true"
    assert LakeStore.of("lake/t") == LakeStore("lake/t")
    assert LakeStore.of("gs://b/t") == LakeStore("gs://b/t")
