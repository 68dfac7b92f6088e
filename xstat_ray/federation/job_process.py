"""Runs a job as one of several on this machine: it ends when the process that started it ends, whatever ended that.

python -m xstat_ray.federation.job_process PARENT MODULE [argument ...]
"""

from __future__ import annotations

import ctypes
import os
import runpy
import signal
import sys

_PR_SET_PDEATHSIG = 1
"""Of prctl(2)."""


def main(parent: int, module: str) -> None:
    """Run `module` as a program, with SIGTERM when `parent` dies."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() == parent:
        runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    number, name = sys.argv[1:3]
    del sys.argv[1:3]
    main(int(number), name)
