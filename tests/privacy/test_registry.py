"""The registry knows which ledgers of this machine have counted which data sets."""

from __future__ import annotations

import multiprocessing
import stat
from pathlib import Path

import pytest

from tests.sizes import thorough
from xstat_ray.errors import InputError
from xstat_ray.privacy.registry import register, state_folder


@pytest.fixture
def ledgers(tmp_path):
    """Three files that are there."""
    paths = [tmp_path / name for name in "abc"]
    for path in paths:
        path.touch()
    return paths


def test_other_ledgers_of_a_data_set_are_named(ledgers):
    one, two, three = ledgers
    assert register("telecom/row", one) == []
    assert register("telecom/row", one) == []
    assert register("airline/column", two) == []
    assert register("telecom/row", three) == [one]
    assert register("telecom/row", one) == [three]


def test_a_ledger_that_is_gone_is_no_second_one(ledgers):
    one, two, _ = ledgers
    register("telecom/row", one)
    one.unlink()
    assert register("telecom/row", two) == []


def test_a_ledger_reached_by_two_ways_is_one(ledgers, tmp_path, monkeypatch):
    one = ledgers[0]
    register("telecom/row", one)
    link = tmp_path / "link"
    link.symlink_to(one)
    assert register("telecom/row", link) == []
    monkeypatch.chdir(tmp_path)
    assert register("telecom/row", Path(one.name)) == []


def test_where_the_state_of_a_user_lies(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XSTAT_STATE")
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    assert state_folder() == tmp_path / ".local/state/xstat-ray"
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    assert state_folder() == tmp_path / ".local/state/xstat-ray"
    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    assert state_folder() == Path("/state/xstat-ray")
    monkeypatch.setenv("XSTAT_STATE", str(tmp_path / "chosen"))
    register("a", tmp_path / "ledger")
    assert stat.S_IMODE((tmp_path / "chosen").stat().st_mode) == 0o700
    assert [path.name for path in (tmp_path / "chosen").iterdir()] == ["ledgers.sqlite"]


def test_tests_do_not_write_to_the_home_of_who_runs_them():
    assert not state_folder().is_relative_to(Path.home() / ".local")


def test_a_registry_that_cannot_be_used_says_what_to_do(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XSTAT_STATE", str(tmp_path / "file"))
    with pytest.raises(
        InputError, match=r"cannot be used: .*ledgers.sqlite\)\. Set XSTAT_STATE to"
    ):
        register("a", tmp_path / "ledger")


@thorough
def test_many_may_register_at_once(ledgers):
    with multiprocessing.get_context("fork").Pool(4) as pool:
        pool.starmap(register, [("a", ledgers[i % 3]) for i in range(60)])
    assert register("a", ledgers[0]) == ledgers[1:]
