from __future__ import annotations

import pytest
from pyarrow import fs

from xstat_ray.errors import InputError
from xstat_ray.federation import exchange
from xstat_ray.federation.exchange import Exchange


@pytest.fixture(params=["folder", "uri", "object store"])
def place(request, tmp_path):
    """An object store is stood in for by Arrow's file system in memory, which the same code serves."""
    if request.param == "object store":
        return Exchange(fs._MockFileSystem(), "bucket", "run")
    return Exchange.at(str(tmp_path / "x") if request.param == "folder" else (tmp_path / "x").as_uri(), "run")


def test_what_is_put_is_got(place):
    assert place.get("row-column/000000.msg") is None
    place.put("row-column/000000.msg", b"first")
    place.put("row-column/000000.msg", b"second")
    assert place.get("row-column/000000.msg") == b"second"
    assert place.get("row-column") is None


def test_runs_do_not_see_each_other(tmp_path):
    one, other = (Exchange.at(str(tmp_path), run) for run in ("one", "other"))
    one.put("name", b"content")
    assert other.get("name") is None and Exchange.at(str(tmp_path), "one").get("name") == b"content"


def test_a_file_is_whole_or_absent(tmp_path, monkeypatch):
    place = Exchange.at(str(tmp_path), "run")
    place.put("name", b"old")
    monkeypatch.setattr("os.fsync", lambda file: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(InputError, match="No space left"):
        place.put("name", b"new")
    assert place.get("name") == b"old"
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["name"]


def test_a_file_that_is_far_too_large_is_not_read(place, monkeypatch):
    monkeypatch.setattr(exchange, "MAX_FILE_BYTES", 3)
    place.put("name", b"1234")
    with pytest.raises(InputError, match="larger than any message"):
        place.get("name")


@pytest.mark.parametrize("location", ["unknown://bucket/folder", "s3:///"])
def test_a_place_that_cannot_be_used(location):
    with pytest.raises(InputError, match="exchange cannot be used"):
        Exchange.at(location, "run")


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="exchange cannot be used"):
        Exchange.at(str(tmp_path / "file" / "folder"), "run")
