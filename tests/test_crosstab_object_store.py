"""Tables, lists and releases in an object store: the counts are exact, a release is complete or absent.

Credentials are in nothing that a run makes or says.
"""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.case import COUNTS, KEY_BITS, Case, counts, study, use_key
from tests.jobs.command import run
from tests.killing import clean_server
from tests.object_store import CANARY, ENVIRONMENT, Bucket
from tests.sizes import first, slow, thorough
from xstat_ray import crosstab
from xstat_ray.crypto.keygen import generate
from xstat_ray.crypto.paillier import PrivateKey
from xstat_ray.errors import InputError
from xstat_ray.inputs.source import Source
from xstat_ray.publication.release import MANIFEST, PROBE, STAGING, read

FILES = {
    *("statistics.parquet", "statistics.csv", "areas.parquet", "areas.csv"),
    *("plan.json", "manifest.json"),
}


class Stored(Case):
    """The case with its tables and its release in a bucket; the run works in the case's folder."""

    def __init__(self, folder: Path, bucket: Bucket) -> None:
        super().__init__(folder)
        self.bucket = bucket
        self.tables = {
            role: bucket.copy(path, f"tables/{role}.parquet") for role, path in self.tables.items()
        }
        self.out = bucket.uri("releases/first")

    def released(self) -> dict[str, bytes]:
        return self.bucket.objects("releases/first")

    def staged(self) -> list[str]:
        """What the run keeps on the disk."""
        (folder,) = (self.folder / STAGING).iterdir()
        return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


@pytest.fixture(scope="module")
def key() -> PrivateKey:
    return generate(KEY_BITS)


@pytest.fixture
def stored(
    tmp_path: Path, bucket: Bucket, monkeypatch: pytest.MonkeyPatch, key: PrivateKey
) -> Stored:
    monkeypatch.chdir(tmp_path)
    use_key(key, monkeypatch.setattr)
    return Stored(tmp_path, bucket)


def test_tables_lists_and_release_are_in_a_bucket(stored, monkeypatch):
    opted_out = pa.BufferOutputStream()
    pq.write_table(pa.table({"id": ["3"]}), opted_out)
    uri = stored.bucket.put("lists/opt_out.parquet", opted_out.getvalue().to_pybytes())
    release = stored.run(study(), row=Source(stored.tables["row"], uri))
    assert counts(release) == COUNTS | {("a", "x"): 1}
    assert stored.released().keys() == FILES | {PROBE}
    again = read(stored.out)
    assert again.statistics == release.statistics and again.areas == release.areas
    assert (
        again.manifest == release.manifest
        and str(release.path) == f"s3://{stored.bucket.name}/releases/first"
    )
    # What the parties record is nobody's but theirs.
    assert {"parties/row/intake.json", "parties/column/intake.json"} <= set(stored.staged())
    assert not any(name.startswith("unfinished") for name in stored.staged())


def test_a_release_is_never_overwritten(stored):
    stored.run(study(noise="laplace"))
    before = stored.released()
    with pytest.raises(InputError, match="already holds a release"):
        stored.run(study(noise="laplace"))
    assert stored.released() == before and stored.debits() == 1


def test_a_store_that_takes_nothing_is_refused_before_anything_is_spent(stored):
    stored.bucket.server.fault = lambda method, path: "403 Forbidden" if method == "PUT" else None
    with pytest.raises(InputError, match="object store cannot be used: access is denied") as caught:
        stored.run(study(noise="laplace"))
    assert stored.debits() == 0 and CANARY not in str(caught.value)
    gets = [path for method, path, _ in stored.bucket.server.requests if method == "GET"]
    assert not any("tables/" in path and "prefix" not in path for path in gets)


@pytest.mark.parametrize("name", first(2, ["statistics.parquet", "manifest.json", "plan.json"]))
def test_a_release_is_complete_or_absent_and_finished_by_the_same_command(stored, name):
    def fault(method, path):
        return "403 Forbidden" if method == "PUT" and f"/first/{name}" in path else None

    stored.bucket.server.fault = fault
    with pytest.raises(InputError, match="object store cannot be used"):
        stored.run(study(noise="laplace"))
    assert MANIFEST not in stored.released()
    with pytest.raises(InputError, match="no release can be read"):
        read(stored.out)
    assert stored.debits() == 1
    stored.bucket.server.fault = lambda method, path: None
    release = stored.run(study(noise="laplace"))
    assert stored.debits() == 1 and read(stored.out).statistics == release.statistics


def run_once(folder: str, call: dict[str, Any], key: bytes) -> None:
    os.chdir(folder)
    use_key(PrivateKey.from_bytes(key))
    crosstab(study(noise="laplace"), **call)


@thorough
@pytest.mark.parametrize(
    "name", first(1, ["statistics.csv", "plan.json", "manifest.json", "_begun"], slow)
)
def test_kill_between_the_files_of_a_release(stored, key, name):
    """The process dies when the store has just been sent a file."""
    sources = {
        role: replace(Source(table), ledger=stored.ledger) for role, table in stored.tables.items()
    }
    call = {**sources, "out": stored.out, "options": stored.options()}
    process = clean_server(__name__).Process(
        target=run_once, args=(str(stored.folder), call, key.export_bytes())
    )

    def kill(method, path):
        if method == "PUT" and path.endswith(f"/first/{name}"):
            os.kill(process.pid, signal.SIGKILL)
        return

    stored.bucket.server.fault = kill
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    stored.bucket.server.fault = lambda method, path: None
    # Of the file that was under way the store may have got all.
    there = stored.released().keys()
    assert there == FILES | {PROBE} if MANIFEST in there else name in {MANIFEST, *FILES, PROBE}
    assert MANIFEST not in there or name == MANIFEST
    release = stored.run(study(noise="laplace"))
    assert read(stored.out).statistics == release.statistics and stored.debits() == 1
    assert stored.released().keys() == FILES | {PROBE}


STUDY = """# @package _global_
study:
  name: small
  row: {id: id, dimensions: [{name: area, values: [a, b]}]}
  column: {id: id, dimensions: [{name: kind, values: [x, y]}]}
  bounds: {persons: 20}
privacy: {noise: "off", padding: "off"}
"""


def everything(stored: Stored, said: list[str]) -> list[bytes]:
    """All that runs made and said."""
    made = [path.read_bytes() for path in stored.folder.rglob("*") if path.is_file()]
    return [*made, *stored.bucket.objects().values(), *(text.encode() for text in said)]


@thorough
def test_credentials_are_in_nothing_that_a_run_makes_or_says(stored):
    """By the command line, with the quoting that the page on object stores tells."""
    (stored.folder / "conf" / "study").mkdir(parents=True)
    (stored.folder / "conf" / "study" / "small.yaml").write_text(STUDY)
    settings = (
        *("--config-dir", "conf", "study=small", "runtime=local", "crypto.key_bits=2048"),
        *("unsafe.allow_no_noise=true", f"data.row.path='{stored.tables['row']}'"),
        *(f"data.column.path='{stored.tables['column']}'", f"out='{stored.out}'"),
    )
    done = run("crosstab", stored.folder, *settings)
    assert done.code == 0, done.error
    assert counts(read(stored.out)) == COUNTS
    said = [done.printed]
    for more in (
        ("--cfg", "job"),
        ("data.row.path=s3://none/x",),
        (f"data.row.path='s3://AKIA:{CANARY}@b/x'",),
        (f"data.row.path='s3://AKIA:{CANARY}@b/x'", "--cfg", "job"),
        (f"out='s3://b/x?secret_key={CANARY}'",),
    ):
        done = run("crosstab", stored.folder, *settings, *more)
        assert done.code == (0 if more == ("--cfg", "job") else 2), done.printed
        said.append(done.printed)
    assert not any(CANARY.encode() in content for content in everything(stored, said))
    # The search finds what is there.
    for planted in (stored.folder / "a" / "log", stored.folder / STAGING / "log"):
        planted.parent.mkdir(exist_ok=True)
        planted.write_text(f"opened with {ENVIRONMENT['AWS_SECRET_ACCESS_KEY']}")
        assert any(CANARY.encode() in content for content in everything(stored, said))
        planted.unlink()
    stored.bucket.put("log", CANARY.encode())
    assert any(CANARY.encode() in content for content in everything(stored, said))
