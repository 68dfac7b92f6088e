"""An output folder holds one release, for one run at a time, and what a rerun needs meanwhile."""

from __future__ import annotations

import os
import shutil
import stat
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest

from xstat_ray.errors import InputError
from xstat_ray.inputs.study_file import parse
from xstat_ray.model.messages import MaskedTable, RerandomisedTable
from xstat_ray.planning.plan import Plan, make_plan
from xstat_ray.publication.workspace import Workspace
from xstat_ray.roles.opening import ToOpen


def plan(persons: int = 100, key_bits: int = 2048) -> Plan:
    side = {"id": "id", "dimensions": [{"name": "area", "values": ["a", "b"]}]}
    column = {"id": "id", "dimensions": [{"name": "kind", "values": ["x"]}]}
    study = {"name": "small", "row": side, "column": column, "bounds": {"persons": persons}}
    return make_plan(parse({"study": study}, origin="small.yaml"), key_bits=key_bits)


BYTES = np.arange(2 * 512, dtype=np.uint8).reshape(2, 1, 512)
TO_OPEN = ToOpen(
    "00" * 16, RerandomisedTable(ciphertexts=BYTES), MaskedTable(ciphertexts=BYTES ^ 1), [b"1", b""]
)
FACTS = {"study_digest": plan().study.digest.hex(), "release": "00" * 16}


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "new" / "out"


def leave_unfinished(out: Path) -> None:
    with Workspace(out, plan()) as work:
        work.party("row").mkdir(mode=0o700)
        (work.party("row") / "secrets").write_bytes(b"secret")
        work.keep(TO_OPEN, FACTS)


def test_what_was_kept_is_found_again(out):
    leave_unfinished(out)
    with Workspace(out, plan()) as work:
        found = work.resumable()
        assert (work.party("row") / "secrets").read_bytes() == b"secret"
    assert found is not None
    assert (found.facts, found.to_open.release) == (FACTS, TO_OPEN.release)
    for table in ("rerandomised", "masked"):
        kept = getattr(TO_OPEN, table).ciphertexts
        assert np.array_equal(getattr(found.to_open, table).ciphertexts, kept)
    assert found.to_open.receipts == TO_OPEN.receipts
    assert stat.S_IMODE((out / "unfinished").stat().st_mode) == 0o700


def test_an_empty_folder_has_nothing_to_resume_and_stays_empty(out):
    with Workspace(out, plan()) as work:
        assert work.resumable() is None
    assert list(out.iterdir()) == []


@pytest.mark.parametrize("other", [plan(persons=101), plan(key_bits=3072), plan(persons=10**6)])
def test_the_unfinished_release_of_another_plan(out, other):
    leave_unfinished(out)
    with (
        Workspace(out, other) as work,
        pytest.raises(InputError, match="another study or key size .*Run that study"),
    ):
        work.resumable()
    assert (out / "unfinished" / "masked.msg").exists()


def test_secrets_without_a_stored_table_are_removed(out):
    leave_unfinished(out)
    (out / "unfinished" / "masked.msg").unlink()
    with Workspace(out, plan()) as work:
        assert work.resumable() is None
        assert not work.party("row").exists()


@pytest.mark.parametrize("stored", [False, True])
def test_a_run_that_begins_again_finds_nothing_but_what_it_can_resume_from(out, stored):
    with Workspace(out, plan()) as work:
        work.party("row").mkdir(mode=0o700)
        (work.party("row") / "secrets").write_bytes(b"secret")
        if stored:
            work.keep(TO_OPEN, FACTS)
        work.begin_again()
        assert (work.party("row") / "secrets").exists() is stored
        assert (work.resumable() is not None) is stored
        assert stat.S_IMODE(work.unfinished.stat().st_mode) == 0o700


def test_a_finished_release_is_refused_and_what_its_clearing_left_goes(out):
    leave_unfinished(out)
    (out / "statistics.parquet").write_bytes(b"published")
    # A kill within `finish` leaves this: without the table, the secrets have no use.
    (out / "unfinished" / "masked.msg").unlink()
    with pytest.raises(InputError, match="already holds a release, which is never overwritten"):
        Workspace(out, plan())
    assert {path.name for path in out.iterdir()} == {"statistics.parquet"}
    assert (out / "statistics.parquet").read_bytes() == b"published"


def test_published_but_not_cleared_is_resumed(out):
    leave_unfinished(out)
    (out / "statistics.parquet").write_bytes(b"published")
    with Workspace(out, plan()) as work:
        assert work.resumable() is not None
        work.finish()
    assert {path.name for path in out.iterdir()} == {"statistics.parquet"}


def test_one_run_at_a_time(out):
    with (
        Workspace(out, plan()),
        pytest.raises(InputError, match="another run is using the output folder .*Wait for it"),
    ):
        Workspace(out, plan())
    with Workspace(out, plan()):
        pass


def test_a_refusal_lets_the_folder_go(out):
    out.mkdir(parents=True)
    (out / "statistics.parquet").write_bytes(b"published")
    for _ in range(2):
        with pytest.raises(InputError, match="already holds a release"):
            Workspace(out, plan())


def test_too_little_room_is_told_before_anything_starts(out, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 10**9 - 3000, 3000))
    needed = 4 * 2 * 512 + 64 * 2
    with pytest.raises(
        InputError, match=f"the disk has 3,000 bytes free and the release needs {needed:,}"
    ):
        Workspace(out, plan())
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 10**9 - needed, needed))
    with Workspace(out, plan()):
        pass


def test_a_table_that_cannot_be_stored_leaves_no_secrets(out, monkeypatch):
    replace = os.replace

    def full(source, target, **folders):
        if target == "masked.msg":
            raise OSError(28, "No space left on device")
        replace(source, target, **folders)

    with Workspace(out, plan()) as work:
        work.party("row").mkdir()
        monkeypatch.setattr(os, "replace", full)
        with pytest.raises(InputError, match="cannot write the output: No space left on device"):
            work.keep(TO_OPEN, FACTS)
    assert list(out.iterdir()) == []


def test_an_output_folder_that_is_a_file(tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(InputError, match="cannot write the output: a file is in the place.*out"):
        Workspace(tmp_path / "out", plan())
    assert (tmp_path / "out").read_text() == "mine"
