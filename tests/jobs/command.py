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


def start(job: str, folder: Path, *arguments: str, columns: int = 150) -> subprocess.Popen[str]:
    """Run `xstat-ray <job>` in a folder, on paper of that many columns."""
    return subprocess.Popen(
        [sys.executable, "-m", "xstat_ray.cli", job, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": str(columns)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(job: str, folder: Path, *arguments: str, timeout: float = 120, columns: int = 150) -> Done:
    """The same, until it ends; after `timeout` seconds it is killed."""
    with start(job, folder, *arguments, columns=columns) as process:
        try:
            output, error = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    return Done(process.returncode, output, error)


def assert_refused(done: Done, message: str) -> None:
    """It ended with the exit code of bad input, said why, and showed no stack."""
    assert (done.code, done.output) == (2, "")
    assert message in done.error and "Traceback" not in done.error
