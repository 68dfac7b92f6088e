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
from xstat_ray.util.arrow import hide_pandas
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
        if words[1:] and not words[1].startswith("-"):
            print(pages.page(_job(words[1])))
        else:
            print(pages.overview())
        return 0 if words else BAD_INPUT
    if words[0] in ("-V", "--version"):
        print(f"{pages.PROGRAM} {software_version()}")
        return 0
    if words[0] == "completion":
        print(complete(words[1:]))
        return 0
    job = _job(words[0])
    if (page := pages.asked(job, words[1:])) is not None:
        # Answered here, as the script of the job imports what the job needs.
        print(page)
        return 0
    # Until the job runs; see `hydra_job`.
    hide_pandas()
    del sys.argv[1]
    runpy.run_path(str(JOBS / f"{job}.py"), run_name="__main__")
    return 0


def _job(word: str) -> str:
    """Return a word that names a job.

    Raises:
        InputError: there is no such job.
    """
    if word in pages.job_names():
        return word
    close = get_close_matches(word, pages.job_names(), n=1)
    meant = f"Did you mean {close[0]!r}? " if close else ""
    remedy = f"{meant}{pages.PROGRAM} --help lists the jobs"
    raise InputError(f"there is no job {word!r}", remedy=remedy)
