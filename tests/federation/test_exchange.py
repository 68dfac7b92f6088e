"""The exchange on a disk, in Arrow's file system in memory, and behind S3's protocol over HTTP."""

from __future__ import annotations

import os
import signal
import stat
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from pyarrow import fs

from tests.case import COUNTS, Case, study
from tests.federation import s3_server
from tests.federation.domains import RUN, Domains
from tests.killing import clean_server
from tests.sizes import thorough
from xstat_ray.crypto.paillier import PrivateKey
from xstat_ray.errors import InputError, MessageError, PendingError
from xstat_ray.federation import exchange
from xstat_ray.federation.exchange import Exchange


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Any]]:
    """An object store on this machine: where it is and what it holds."""
    for name, value in s3_server.ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    with s3_server.serve() as served:
        yield served


@pytest.fixture(params=["folder", "uri", "memory", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Exchange:
    if request.param == "s3":
        return Exchange.at(request.getfixturevalue("s3")[0], "run")
    if request.param == "memory":
        return Exchange(fs._MockFileSystem(), "bucket", "run")
    return Exchange.at(
        str(tmp_path / "x") if request.param == "folder" else (tmp_path / "x").as_uri(), "run"
    )


def test_what_is_put_is_got(place):
    assert place.get("row-column/000000.msg") is None
    place.put("row-column/000000.msg", b"first")
    place.put("row-column/000000.msg", b"second")
    assert place.get("row-column/000000.msg") == b"second"
    assert place.get("row-column") is None


def test_a_shared_folder_lends_its_permissions(tmp_path):
    """Domains that are different users share the exchange, whatever umask each works with."""
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o2770)
    before = os.umask(0o077)
    try:
        Exchange.at(str(shared), "run").put("row-column/000000.msg", b"content")
    finally:
        os.umask(before)
    modes = [stat.S_IMODE(path.stat().st_mode) for path in sorted(shared.rglob("*"))]
    assert modes == [0o2770, 0o2770, 0o660]


def test_a_stream_that_somebody_made_a_link_is_refused(tmp_path):
    victim = tmp_path / "victim"
    victim.mkdir()
    place = Exchange.at(str(tmp_path / "shared"), "run")
    (tmp_path / "shared" / "run" / "row-column").symlink_to(victim)
    with pytest.raises(InputError, match="the exchange cannot be used"):
        place.put("row-column/000000.msg", b"content")
    assert list(victim.iterdir()) == []


def test_a_folder_that_is_made_a_link_at_once_lends_its_permissions_to_nobody(
    tmp_path, monkeypatch
):
    victim = tmp_path / "victim"
    victim.mkdir(mode=0o700)
    place = Exchange.at(str(tmp_path / "shared"), "run")
    made = Path.mkdir

    def mkdir(self, *args, **options):
        made(self, *args, **options)
        if self.name == "row-column":
            self.rmdir()
            self.symlink_to(victim)

    monkeypatch.setattr(Path, "mkdir", mkdir)
    with pytest.raises(InputError, match="the exchange cannot be used"):
        place.put("row-column/000000.msg", b"content")
    assert stat.S_IMODE(victim.stat().st_mode) == 0o700 and list(victim.iterdir()) == []


def test_runs_do_not_see_each_other(tmp_path):
    first, second = (Exchange.at(str(tmp_path), run) for run in ("one", "other"))
    first.put("name", b"content")
    assert (
        second.get("name") is None and Exchange.at(str(tmp_path), "one").get("name") == b"content"
    )


def test_a_file_is_whole_or_absent(tmp_path, monkeypatch):
    place = Exchange.at(str(tmp_path), "run")
    place.put("name", b"old")
    monkeypatch.setattr(
        "os.fsync", lambda file: (_ for _ in ()).throw(OSError(28, "No space left on device"))
    )
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


# An object store

LARGE = bytes(21 << 20)
"""It goes up in three parts."""


def test_a_large_file_goes_up_in_parts(s3):
    place = Exchange.at(s3[0], "run")
    store = s3[1]
    place.put("name", LARGE)
    assert place.get("name") == LARGE
    assert sum("partNumber" in request for request in store.requests) == 3


@pytest.mark.parametrize("refused", ["partNumber=2", "POST /bucket/shared/run/name?uploadId"])
def test_an_upload_that_breaks_off_leaves_what_was_there(s3, refused):
    place = Exchange.at(s3[0], "run")
    store = s3[1]
    place.put("name", b"old")
    store.fault = staticmethod(lambda request: 403 if refused in request else None)
    with pytest.raises(InputError, match="exchange cannot be used"):
        place.put("name", LARGE)
    assert place.get("name") == b"old"


def put_large(location: str) -> None:
    Exchange.at(location, "run").put("name", LARGE)


@thorough
def test_of_a_killed_upload_nothing_is_there(s3):
    """The process dies when the second of three parts has arrived."""
    location, store = s3
    process = clean_server(__name__).Process(target=put_large, args=(location,))

    def kill(request):
        if "partNumber=2" in request:
            os.kill(process.pid, signal.SIGKILL)

    store.fault = staticmethod(kill)
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert Exchange.at(location, "run").get("name") is None and store.uploads


def test_an_unknown_key_is_refused(s3, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "stranger")
    with pytest.raises(InputError, match="exchange cannot be used"):
        Exchange.at(s3[0], "run")


class InBucket(Domains):
    """Domains whose exchange is a bucket."""

    store: type[s3_server.Store]

    def messages(self):
        return sorted(name for name in self.store.objects if name.endswith(".msg"))


@pytest.fixture
def in_bucket(quick_key: PrivateKey, tmp_path: Path, s3: tuple[str, Any]) -> InBucket:
    domains = InBucket(tmp_path, study(privacy={"padding": "dp"}), Case(tmp_path).tables)
    domains.location, domains.store = s3
    return domains


def test_three_domains_share_a_bucket(in_bucket):
    in_bucket.run()
    assert pq.read_table(in_bucket.out / "statistics.parquet")["noisy"].to_pylist() == list(
        COUNTS.values()
    )
    assert not in_bucket.exchange.exists()


WRITES = {
    "row": ("row-column/", "row-aggregator/", "logs/row.jsonl", "approvals/row.json"),
    "column": ("column-row/", "column-aggregator/", "logs/column.jsonl", "approvals/column.json"),
    "aggregator": (
        *("aggregator-row/", "aggregator-column/", "logs/aggregator.jsonl"),
        "approvals/aggregator.json",
    ),
}
READS = {
    "row": (*WRITES["row"], "column-row/", "aggregator-row/", "logs/", "approvals/"),
    "column": (*WRITES["column"], "row-column/", "aggregator-column/", "approvals/"),
    "aggregator": (
        *(*WRITES["aggregator"], "row-aggregator/", "column-aggregator/"),
        "approvals/",
    ),
}


def allows(domain: str, method: str, path: str) -> bool:
    """The rights that the page on domains tells to give; folders are empty objects."""
    path = path.removeprefix("bucket/")
    rights = (READS if method in ("GET", "HEAD") else WRITES)[domain]
    inside = path.removeprefix(f"shared/{RUN}/")
    return path in (
        "bucket",
        "shared/",
        f"shared/{RUN}/",
        f"shared/{RUN}/logs/",
        f"shared/{RUN}/approvals/",
    ) or inside.startswith(rights)


@thorough
def test_each_domain_needs_no_more_than_its_rights(in_bucket, monkeypatch):
    def as_itself(call, domain, *arguments, **changes):
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", domain)
        call(domain, *arguments, **changes)

    in_bucket.step = partial(as_itself, in_bucket.step)
    in_bucket.approve_as = partial(as_itself, in_bucket.approve_as)
    in_bucket.store.allows = staticmethod(allows)
    in_bucket.approve()
    in_bucket.run()
    assert pq.read_table(in_bucket.out / "statistics.parquet")["noisy"].to_pylist() == list(
        COUNTS.values()
    )
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "aggregator")
    place = Exchange.at(in_bucket.location, RUN)
    assert place.get("row-aggregator/000000.msg")
    for closed in ("row-column/000002.msg", "column-row/000002.msg", "logs/row.jsonl"):
        assert f"bucket/shared/{RUN}/{closed}" in in_bucket.store.objects
        with pytest.raises(InputError, match="exchange cannot be used"):
            place.get(closed)


@thorough
def test_a_message_cut_off_in_a_bucket_is_refused_and_then_sent_again(in_bucket):
    """A store may show an upload before it ends: what is no whole message is not read as one."""
    with pytest.raises(PendingError):
        in_bucket.step("row", "handshake")
    name = f"bucket/shared/{RUN}/row-column/000000.msg"
    whole = in_bucket.store.objects[name]
    for cut in (b"", whole[:100], whole[:-1]):
        in_bucket.store.objects[name] = cut
        with pytest.raises(
            MessageError, match=r"row-column/000000\.msg is refused: it(s payload has| is)"
        ):
            in_bucket.step("column", "handshake")
    # The sender was killed before it could note that the message is out.
    log = in_bucket.state("row") / "log.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    assert b'"sent"' in lines[-1]
    log.write_bytes(b"".join(lines[:-1]))
    in_bucket.run()
    assert pq.read_table(in_bucket.out / "statistics.parquet")["noisy"].to_pylist() == list(
        COUNTS.values()
    )
