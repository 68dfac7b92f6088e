"""Calls of the parties are typed: mypy infers their results, and refuses a misspelling."""

from __future__ import annotations

import pytest
from mypy import api

from tests.pages import ROOT
from tests.sizes import thorough

pytestmark = thorough  # A first run of mypy takes half a minute.

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


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What mypy reports of a module with each of the texts, in one go."""
    folder = tmp_path_factory.mktemp("modules")
    paths = {"nothing": folder / "right.py"}
    paths["nothing"].write_text(RIGHT)
    for number, (fault, (right, wrong, _)) in enumerate(WRONG.items()):
        paths[fault] = folder / f"wrong_{number}.py"
        imported = RIGHT.replace("import RowParty", "import ColumnParty, RowParty")
        paths[fault].write_text(imported.replace(right, wrong))
    cache = str(ROOT / ".mypy_cache")
    output, errors, _ = api.run(["--strict", "--cache-dir", cache, *map(str, paths.values())])
    assert not errors
    lines = output.splitlines()
    return {
        fault: "\n".join(line for line in lines if path.name in line)
        for fault, path in paths.items()
    }


def test_results_are_inferred(reported: dict[str, str]) -> None:
    assert reported["nothing"] == ""


@pytest.mark.parametrize("fault", WRONG)
def test_a_wrong_call_is_refused(fault: str, reported: dict[str, str]) -> None:
    assert f"[{WRONG[fault][2]}]" in reported[fault]
