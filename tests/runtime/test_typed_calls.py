"""Calls of the parties are typed: mypy infers their results, and refuses a misspelling."""

from __future__ import annotations

from pathlib import Path

import pytest
from mypy import api

from tests.pages import ROOT

RIGHT = """
from xstat_ray.model.messages import Rows
from xstat_ray.model.shards import Shard
from xstat_ray.roles import RowParty
from xstat_ray.runtime.executor import Executor

def emitted(executor: Executor, shard: Shard) -> Rows:
    return executor.get(executor.row[0].call(RowParty.emit, shard))
"""
WRONG = {
    "a misspelling": ("RowParty.emit", "RowParty.emti", "attr-defined"),
    "another result": ("-> Rows", "-> int", "return-value"),
    "the other party's method": ("RowParty.emit", "ColumnParty.emit", "arg-type"),
}


def check(text: str, folder: Path) -> str:
    """Return what mypy reports of a module with this text."""
    path = folder / "module.py"
    path.write_text(text)
    cache = str(ROOT / ".mypy_cache")
    output, errors, _ = api.run(["--strict", "--cache-dir", cache, str(path)])
    assert not errors
    return output


def test_results_are_inferred(tmp_path: Path) -> None:
    assert "Success" in check(RIGHT, tmp_path)


@pytest.mark.parametrize("fault", WRONG)
def test_a_wrong_call_is_refused(fault: str, tmp_path: Path) -> None:
    right, wrong, code = WRONG[fault]
    text = RIGHT.replace("import RowParty", "import ColumnParty, RowParty").replace(right, wrong)
    assert f"[{code}]" in check(text, tmp_path)
