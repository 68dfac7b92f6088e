"""The command `xstat-ray`: finds the script of a job and runs it."""

from __future__ import annotations

import runpy
import sys
from difflib import get_close_matches
from typing import NoReturn

from xstat_ray.cli import help as pages
from xstat_ray.cli.completion import complete
from xstat_ray.cli.program import BAD_INPUT, exit_with
from xstat_ray.errors import InputError
from xstat_ray.util.package_files import JOBS
from xstat_ray.util.software_digest import software_version


def main() -> NoReturn:
    """Do what the command line asks for, and exit."""
    exit_with(lambda: _main(sys.argv[1:]))


def _main(words: list[str]) -> int:
    """Run a job, or print what was asked for.

    Raises:
        InputError: there is no such job.
    """
    if not words or words[0] in ("-h", "--help", "help"):
        print(pages.overview())
        return 0 if words else BAD_INPUT
    if words[0] in ("-V", "--version"):
        print(f"{pages.PROGRAM} {software_version()}")
        return 0
    if words[0] == "completion":
        print(complete(words[1:]))
        return 0
    if words[0] not in pages.job_names():
        raise InputError(f"there is no job {words[0]!r}", remedy=_remedy(words[0]))
    del sys.argv[1]
    runpy.run_path(str(JOBS / f"{words[0]}.py"), run_name="__main__")
    return 0


def _remedy(word: str) -> str:
    close = get_close_matches(word, pages.job_names(), n=1)
    meant = f"Did you mean {close[0]!r}? " if close else ""
    return f"{meant}{pages.PROGRAM} --help lists the jobs"
