"""The pages that `--help` prints.

What a job does, examples and its most used keys are the comment at the head of its configuration
file, so that they are in one place for the reader of the file and of the page.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from xstat_ray.util.package_files import CONF, JOBS

PROGRAM = "xstat-ray"
_WIDTH = 80
_OPTIONS = """\
--config-dir FOLDER   take choices from FOLDER/study and so on, too
--cfg job             print the composed settings; nothing runs
--keys                print all settings with their explanations"""


def job_names() -> list[str]:
    """The jobs: a script and a configuration of the same name."""
    return sorted(path.stem for path in JOBS.glob("*.py") if path.stem != "__init__")


def asked(job: str, arguments: Sequence[str]) -> str | None:
    """The page that the arguments of a job ask for; None where they ask for none."""
    if {"-h", "--help"} & set(arguments):
        return page(job)
    return keys(job) if "--keys" in arguments else None


def overview() -> str:
    """All jobs, with a line for each."""
    width = max(map(len, job_names()))
    lines = [f"  {name:{width}}  {head(CONF / f'{name}.yaml')[0]}" for name in job_names()]
    return "\n".join(
        [
            f"{PROGRAM} JOB [KEY=VALUE ...]",
            "",
            *lines,
            "",
            f"{PROGRAM} JOB --help          what a job does, and its most used settings",
            f"{PROGRAM} completion bash     a script that completes jobs and settings",
            f"{PROGRAM} --version",
            "Exit codes: 0 done, 2 bad input or refused plan, 3 budget refused, 4 no message",
            "of another domain yet, 130 interrupted, 1 anything else.",
        ]
    )


def page(job: str) -> str:
    """What a job does, its most used keys, its groups, and where all keys are."""
    choices = [line for group in groups(job) for line in _choices(group)]
    parts = [
        f"{PROGRAM} {job} [KEY=VALUE ...]",
        "\n".join(head(CONF / f"{job}.yaml")),
        "\n".join(choices),
        _OPTIONS,
    ]
    return "\n\n".join(part for part in parts if part)


def keys(job: str) -> str:
    """The configuration of a job and what it includes: the comments explain all keys."""
    texts = [f"# {path.relative_to(CONF.parent)}\n{path.read_text('utf-8')}" for path in files(job)]
    return "\n".join(texts).rstrip()


def head(path: Path) -> list[str]:
    """The lines of the comment at the head of a configuration file, without their marks."""
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.removeprefix("#").removeprefix(" "))
    return lines


def groups(job: str) -> list[str]:
    """The groups of files that a job chooses from."""
    text = (CONF / f"{job}.yaml").read_text(encoding="utf-8")
    return [name for name in re.findall(r"^  - (\w+): ", text, re.M) if (CONF / name).is_dir()]


def _choices(group: str) -> list[str]:
    """List the files of a group, in lines that are broken before a bar."""
    first, *others = sorted(path.stem for path in (CONF / group).glob("*.yaml"))
    lines = [f"{group}={first}"]
    for name in others:
        if len(lines[-1]) + len(name) < _WIDTH - 2:
            lines[-1] += f"|{name}"
        else:
            lines.append(f"   |{name}")
    return lines


def files(job: str) -> Iterator[Path]:
    """The file of a job, then those of its defaults; a choice that a person must make has none."""
    yield CONF / f"{job}.yaml"
    text = (CONF / f"{job}.yaml").read_text(encoding="utf-8")
    for group, choice in re.findall(r"^  - (\w+)(?:: |/)(\w+)$", text, re.M):
        yield CONF / group / f"{choice}.yaml"
