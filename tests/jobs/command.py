"""A job as a person runs it: a process with arguments, its exit code and what it prints."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]


class Done(NamedTuple):
    code: int
    output: str
    error: str

    @property
    def printed(self) -> str:
        return self.output + self.error


def run(job: str, folder: Path, *arguments: str, timeout: float = 120, columns: int = 150) -> Done:
    """Run `python -m jobs.<job>` in a folder until it ends, on paper of that many columns."""
    done = subprocess.run(
        [sys.executable, "-m", f"jobs.{job}", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": str(columns)},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def assert_refused(done: Done, message: str) -> None:
    """It ended with the exit code of bad input, said why, and showed no stack."""
    assert (done.code, done.output) == (2, "")
    assert message in done.error and "Traceback" not in done.error
