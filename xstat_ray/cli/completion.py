"""Completion in bash: of jobs by name, of settings by Hydra."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout

from xstat_ray.cli import help as pages
from xstat_ray.errors import InputError
from xstat_ray.util.package_files import CONF

_SCRIPT = """\
_xstat_ray() {
    mapfile -t COMPREPLY < <(COMP_LINE="$COMP_LINE" COMP_POINT="$COMP_POINT" \\
        COMP_WORDBREAKS="$COMP_WORDBREAKS" "$1" completion query 2> /dev/null)
}
complete -o nospace -o default -F _xstat_ray xstat-ray"""
_OPTIONS = ("--cfg job", "--config-dir ", "--help", "--keys")
_ANY_STUDY = "study=nycflights"
"""Stands in for a study that has not been chosen yet, without which Hydra knows no keys."""


def complete(words: Sequence[str]) -> str:
    """The script for a shell, or the answer to its question.

    Raises:
        InputError: for another shell than bash.
    """
    if list(words) == ["bash"]:
        return _SCRIPT
    if list(words) == ["query"]:
        line = os.environ["COMP_LINE"][: int(os.environ["COMP_POINT"])]
        return "\n".join(candidates(line, os.environ["COMP_WORDBREAKS"]))
    remedy = f'Write: eval "$({pages.PROGRAM} completion bash)"'
    raise InputError("there is completion for bash only", remedy=remedy)


def candidates(line: str, breaks: str) -> list[str]:
    """Completions of the last word of a command line.

    Args:
        line: the command line up to the cursor.
        breaks: characters at which bash breaks words. It replaces what is behind the last break.

    Returns:
        What may stand behind the last break; a blank at the end ends the word.
    """
    words = line.split()[1:]
    word = "" if not words or line[-1].isspace() else words.pop()
    if not words:
        found = [f"{name} " for name in [*pages.job_names(), "completion", "--help", "--version"]]
    elif word.startswith("-"):
        found = list(_OPTIONS)
    else:
        found = [_ended(answer) for answer in _ask_hydra(words[0], words[1:], word)]
    start = 1 + max(word.rfind(mark) for mark in breaks)
    return [candidate[start:] for candidate in found if candidate.startswith(word)]


def _ended(answer: str) -> str:
    """A whole setting ends with a blank; a key goes on with its value or with an inner key."""
    return answer if answer.endswith(("=", ".", "/")) else f"{answer} "


def _ask_hydra(job: str, settings: list[str], word: str) -> list[str]:
    """The groups, choices and keys of a job that begin with `word`."""
    # Nothing else that the command does by itself needs Hydra, which takes a third of a second.
    import hydra

    options = []
    if "--config-dir" in settings[:-1]:
        at = settings.index("--config-dir")
        options = settings[at : at + 2]
        del settings[at : at + 2]
    groups = pages.groups(job)
    if "study" in groups and not any(setting.startswith("study=") for setting in settings):
        settings = [_ANY_STUDY, *settings]
    os.environ["COMP_LINE"] = " ".join([pages.PROGRAM, *settings, word])
    sys.argv[1:] = [*options, "-sc", "query=bash"]

    @hydra.main(version_base="1.3", config_path=str(CONF), config_name=job)
    def task(_: object) -> None:
        """Never runs; Hydra only completes."""

    with redirect_stdout(io.StringIO()) as printed:
        task()
    foreign = {path.name for path in CONF.iterdir() if path.is_dir()} - set(groups)
    answers = printed.getvalue().split()
    return [a for a in answers if a.rstrip("=/") not in foreign and not a.startswith("hydra")]
