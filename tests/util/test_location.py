"""A location is a path of a disk or a place in an object store, and holds no credentials."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from xstat_ray.errors import InputError
from xstat_ray.util.location import Location, local_path
from xstat_ray.util.object_stores import unusable

CANARY = "CANARYwJalrXUtnFEMI"


def test_a_path_stays_the_path_that_it_is(tmp_path: Path) -> None:
    file = tmp_path / "date=2024-01-01" / "a b%20c?d#e.csv"
    file.parent.mkdir()
    file.write_bytes(b"content")
    place = Location.of(file)
    assert place == Location.of(str(file)) == Location.of(place)
    assert str(place) == place.uri == str(file) and place.local == file and place.is_local
    assert Path(place) == file and place.name == file.name and place.exists()
    with place.open() as stream:
        assert stream.read() == b"content" == place.read()
    (Location.of(tmp_path) / "other").write(b"more")
    assert (tmp_path / "other").read_bytes() == b"more"
    assert Location.of(tmp_path / "none").read() is None
    assert Location.of(file.as_uri()).local == file


def test_a_path_is_made_absolute_where_it_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert str(Location.of("a.csv")) == "a.csv"
    assert Location.of("a.csv").absolute.local == tmp_path / "a.csv"
    assert Location.of("./a.csv") == Location.of(Path("a.csv"))
    assert Location.of(tmp_path / "s3:" / "a.csv").is_local
    assert Location.of("file:/a%20b.csv").local == Path("/a b.csv")
    for name in ("C:/x", "date=2024-01-01T08:00/x", "a/dbfs:/x", "at_08:00.csv"):
        assert Location.of(name).inside == name


@pytest.mark.parametrize("address", ["dbfs:/x", "s3n:/b/x", "jdbc:sqlite:x", "sqlite:x.db"])
def test_an_address_of_another_kind_is_no_path(address: str) -> None:
    with pytest.raises(InputError, match="cannot be served here") as caught:
        Location.of(address)
    assert "x" not in str(caught.value.file)


@pytest.mark.parametrize(
    ("uri", "inside", "shown"),
    [
        ("s3://b/k/date=2024-01-01%2000/x.csv", "b/k/date=2024-01-01%2000/x.csv", None),
        ("S3://b/k/", "b/k", "s3://b/k"),
        ("s3://b", "b", None),
        ("s3://b/k?region=x&endpoint_override=http://h:1", "b/k", "s3://b/k"),
        ("gs://b/k?anonymous=true", "b/k", "gs://b/k"),
        ("abfss://c@a.dfs.core.windows.net/k", "c/k", None),
        ("abfs://c@a.dfs.core.windows.net", "c", None),
        ("hdfs://h:8020/k/x.csv?user=me", "/k/x.csv", "hdfs://h:8020/k/x.csv"),
    ],
)
def test_a_uri_is_a_place_in_a_store(uri: str, inside: str, shown: str | None) -> None:
    place = Location.of(uri)
    assert not place.is_local and place.inside == inside and str(place) == (shown or uri)
    assert Location.of(place.uri) == place == pickle.loads(pickle.dumps(place)) == place.absolute
    assert place.name == inside.rpartition("/")[2] and (place / "y").inside == f"{inside}/y"


@pytest.mark.parametrize(
    ("uri", "problem"),
    [
        ("s3a://b/k", "s3a:// cannot be served.*Write s3://"),
        ("https://h/k", "https:// cannot be served"),
        ("s3:///k", "names no bucket"),
        ("abfss://@a/k", "names no container"),
        ("abfss://a/c/k", "Write container@account"),
        ("hdfs:///k", "names no host"),
        ("s3:/b/k", "became a path of a disk"),
        ("file://relative", "names no absolute path"),
        ("s3://b/k?versionId=3", "settings that are not among"),
        ("s3://b/k?endpoint_override=h:1/operator/x.csv", "endpoint_override is no host"),
        ("s3://b/k?anonymous", "neither true nor false"),
    ],
)
def test_a_uri_that_cannot_be_served_is_refused(uri: str, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        Location.of(uri)


@pytest.mark.parametrize(
    "uri",
    [
        f"s3://AKIA:{CANARY}@b/k",
        f"s3://AKIA:with/slash{CANARY}@b/k",
        f"s3://{CANARY}@b/k",
        f"s3://b/k?access_key={CANARY}&secret_key={CANARY}",
        f"s3://b/k?{CANARY}=x",
        f"s3://b/k?{CANARY}",
        f"s3://b/k?endpoint_override=http://me:{CANARY}@h",
        f"gs://{CANARY}@b/k",
        f"gs://b/k?access_token={CANARY}",
        f"abfss://c:{CANARY}@a/k",
        f"abfss://c:with/slash{CANARY}@a/k",
        f"abfss://c@a/k?sig={CANARY}",
        f"abfss://c@a/k?client_secret={CANARY}",
        f"hdfs://me:{CANARY}@h/k",
        f"hdfs://me:with/slash{CANARY}@h/k",
        f"other://me:{CANARY}@h/k",
    ],
)
def test_a_uri_with_credentials_is_refused_and_not_repeated(uri: str) -> None:
    with pytest.raises(InputError) as caught:
        Location.of(uri)
    assert CANARY not in str(caught.value) and "slash" not in str(caught.value)
    if not uri.startswith("other"):
        assert "environment" in str(caught.value)


def test_nothing_that_an_answer_repeats_is_in_an_error() -> None:
    answer = OSError(f"AWS Error ACCESS_DENIED during GetObject: {CANARY} is not authorized")
    error = unusable("s3://b/k", answer)
    assert str(error).startswith("the object store cannot be used: access is denied (file s3://b/k")
    assert CANARY not in str(error)
    assert CANARY not in str(unusable("s3://b/k", OSError(CANARY)))


def test_what_must_lie_on_a_disk_is_refused_elsewhere(tmp_path: Path) -> None:
    assert local_path(str(tmp_path)) == local_path(tmp_path.as_uri()) == tmp_path
    with pytest.raises(InputError, match="object store cannot serve") as caught:
        local_path("s3://b/k", key="ledger")
    assert caught.value.key == "ledger"
    with pytest.raises(InputError, match="object store cannot serve"):
        Path(Location.of("s3://b/k"))


def test_hadoop_that_is_not_installed_is_named() -> None:
    with pytest.raises(InputError, match="Java or Hadoop's libhdfs is not installed"):
        raise unusable("hdfs://h", OSError("Unable to load libjvm: /usr/lib/jvm"))


def test_a_store_of_google_is_asked_for_as_long_as_the_uri_tells() -> None:
    place = Location.of(
        "gs://b/x?anonymous=true&endpoint_override=127.0.0.1:1&scheme=http&retry_limit_seconds=0.1"
    )
    with pytest.raises(InputError, match="the object store cannot be used"):
        place.exists()
