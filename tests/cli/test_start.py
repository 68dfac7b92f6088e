"""What a command imports: what takes long to load stays out of commands that can do without it.

Nothing is timed here, as a busy machine would fail. docs/performance.md has the times.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pages import ROOT
from xstat_ray.privacy.ledger import Ledger

NEVER = {"dp_accounting", "duckdb", "matplotlib", "pandas", "ray", "scipy"}
"""No command needs these before it has something to compute, run or draw with them."""
HEAVY = NEVER | {"cryptography", "gmpy2", "numpy", "opendp", "phonenumbers", "pyarrow"}
_CODE = """
import sys
from xstat_ray.cli.main import main
try:
    main()
except SystemExit as end:
    print(*sys.modules, file=sys.stderr)
    raise
"""


def imported(folder: Path, *words: str) -> set[str]:
    """The modules that a command line has imported when it ends."""
    done = subprocess.run(
        [sys.executable, "-c", _CODE, *words],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout
    return set(done.stderr.splitlines()[-1].split())


@pytest.mark.parametrize("words", ["--help", "--version", "crosstab --help", "plan --keys"])
def test_help_imports_nothing_that_takes_long(tmp_path: Path, words: str) -> None:
    found = imported(tmp_path, *words.split())
    assert "xstat_ray.cli.help" in found
    assert found & (HEAVY | {"hydra", "omegaconf"}) == set()


def test_the_budget_is_shown_without_what_computes(tmp_path: Path) -> None:
    Ledger(tmp_path / "ledger.sqlite")
    found = imported(tmp_path, "budget", "show", "ledger=ledger.sqlite")
    assert {"hydra", "sqlite3", "xstat_ray.privacy.ledger"} <= found
    # Settings may name places in object stores, which pyarrow serves.
    assert found & (HEAVY - {"numpy", "pyarrow"}) == set()


def test_a_plan_is_made_without_ray_and_what_draws(tmp_path: Path) -> None:
    found = imported(tmp_path, "plan", "study=doto_movement")
    assert {"pyarrow", "opendp", "xstat_ray.planning.plan"} <= found
    assert found & NEVER == set()


def test_the_package_imports_a_name_when_it_is_used() -> None:
    code = "; ".join(
        [
            "import sys, xstat_ray",
            "names = set(dir(xstat_ray))",
            "assert not any(name.startswith('xstat_ray.job') for name in sys.modules)",
            "assert names == set(xstat_ray.__all__) == {n for n in names if hasattr(xstat_ray, n)}",
            "import xstat_ray.job",
            "assert xstat_ray.crosstab is xstat_ray.job.crosstab",
            "assert not hasattr(xstat_ray, 'nonsense')",
        ]
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
