"""Runs a job as a child process on this machine, which ends when the process that started it does.

python -m xstat_ray.federation.job_process PARENT JOB [argument ...]
"""

from __future__ import annotations

import ctypes
import os
import runpy
import signal
import sys

from xstat_ray.util.package_files import JOBS

_PR_SET_PDEATHSIG = 1
"""Option of prctl(2): the signal that a process gets when its parent dies."""


def command(job: str) -> list[str]:
    """Make the command line that runs a job as a child of this process; its arguments follow."""
    return [sys.executable, "-P", "-m", __name__, str(os.getpid()), job]


def environment() -> dict[str, str]:
    """Make the environment of a child, which finds the modules of this process and no other.

    Python would otherwise look in the current directory first.
    """
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def main(parent: int, job: str) -> None:
    """Run the script of `job` as a program, with SIGTERM when `parent` dies."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() == parent:
        runpy.run_path(str(JOBS / f"{job}.py"), run_name="__main__")


if __name__ == "__main__":
    number, name = sys.argv[1:3]
    del sys.argv[1:3]
    main(int(number), name)
