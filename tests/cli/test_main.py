"""The command `xstat-ray` as a person runs it: a process in a folder of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from tests.pages import ROOT
from tests.sizes import first, slow, thorough
from xstat_ray.cli import help as pages
from xstat_ray.cli.completion import candidates
from xstat_ray.util.package_files import CONF, JOBS, PACKAGE

NAMES = sorted(path.stem for path in (ROOT / "jobs").glob("[!_]*.py"))
BREAKS = " \t\n\"'><=;|&(:"
"""Where bash breaks words."""


def command(*words: str, shell: str = "", cwd: Path, optimised: bool = False, job: str = ""):
    """Run `xstat-ray` with words, or the script of a job; `shell` follows, as in `| head -1`."""
    options = ["-OO"] if optimised else []
    module = f"jobs.{job}" if job else "xstat_ray.cli"
    line = " ".join([sys.executable, *options, "-m", module, *words, shell])
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", line],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )


def lines_of_a_screen(text: str) -> list[str]:
    lines = text.splitlines()
    assert len(lines) <= 24
    assert [line for line in lines if len(line) > 80] == []
    return lines


def test_every_job_has_a_script_and_a_configuration() -> None:
    assert pages.job_names() == NAMES == sorted(path.stem for path in CONF.glob("*.yaml"))


def test_a_checkout_finds_its_own_folders() -> None:
    assert (PACKAGE, JOBS, CONF) == (ROOT / "xstat_ray", ROOT / "jobs", ROOT / "conf")


def test_the_overview_has_a_line_for_each_job_and_fits_a_screen(tmp_path: Path) -> None:
    done = command("--help", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    found = [re.match(r"  (\w+) +\S", line) for line in lines_of_a_screen(done.stdout)]
    assert [line[1] for line in found if line] == NAMES


def keys_of(node: dict[str, Any], before: str = "") -> Iterator[str]:
    """The dotted keys of a configuration, those of blocks included."""
    for key, value in node.items():
        yield f"{before}{key}"
        if isinstance(value, dict):
            yield from keys_of(value, f"{before}{key}.")


@pytest.mark.parametrize("job", NAMES)
def test_the_page_of_a_job_fits_a_screen_and_names_keys_that_it_has(job: str) -> None:
    text = "\n".join(lines_of_a_screen(pages.page(job)))
    groups = set(pages.groups(job))
    chosen = ["study=nycflights"] if "study" in groups else []
    with initialize_config_dir(str(CONF), version_base="1.3"):
        composed = OmegaConf.to_container(compose(job, chosen), resolve=False)
    known = groups | set(keys_of(composed))
    named = set(re.findall(r" ([a-z_.]+)=", text))
    assert named
    assert named - known == set()


@slow
@pytest.mark.parametrize("optimised", first(1, [True, False]))
def test_a_script_of_the_repository_is_the_same_job(tmp_path: Path, optimised: bool) -> None:
    """Docstrings, which -OO leaves out, are not what a page is made of."""
    for job in ("verify", "crosstab"):
        script = command("--help", cwd=ROOT, job=job, optimised=optimised)
        assert (script.returncode, script.stderr) == (0, "")
        assert script.stdout == pages.page(job) + "\n"
    assert command("--help", cwd=tmp_path, optimised=True).stdout == pages.overview() + "\n"


@pytest.mark.parametrize("word", first(1, ["help", "--help", "-h"]))
def test_help_with_a_job_is_the_page_of_the_job(tmp_path: Path, word: str) -> None:
    assert command(word, "plan", cwd=tmp_path).stdout == pages.page("plan") + "\n"
    done = command(word, "plam", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "there is no job 'plam'. Did you mean 'plan'?" in done.stderr


@thorough
def test_version_and_nothing_at_all(tmp_path: Path) -> None:
    assert command("--version", cwd=tmp_path).stdout == f"xstat-ray {version('xstat-ray')}\n"
    done = command(cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, pages.overview() + "\n")


@pytest.mark.parametrize(
    ("word", "message"),
    first(
        1,
        [
            ("crosstabb", "there is no job 'crosstabb'. Did you mean 'crosstab'? xstat-ray --help"),
            ("qqq", "there is no job 'qqq'. xstat-ray --help lists the jobs"),
            ("__init__", "there is no job '__init__'"),
            ("../jobs/crosstab", "there is no job"),
            ("completion", 'there is completion for bash only. Write: eval "$(xstat-ray'),
        ],
    ),
)
def test_an_unknown_job_is_bad_input(tmp_path: Path, word: str, message: str) -> None:
    done = command(word, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Error: ") and message in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "words",
    first(
        1,
        [
            ["--help"],
            ["plan", "--help"],
            ["plan", "--keys"],
            ["plan", "study=nycflights"],
            ["plan", "study=nycflights", "display=json"],
            ["plan", "study=nycflights", "--cfg", "job"],
            ["completion", "bash"],
        ],
    ),
)
@pytest.mark.parametrize("reader", first(1, ["head -1", "true"]))
def test_a_reader_that_goes_away_is_no_error(tmp_path: Path, words: list[str], reader: str) -> None:
    done = command(*words, shell=f"| {reader}", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


@thorough
def test_the_exit_code_is_not_left_to_chance_where_the_reader_goes_away(tmp_path: Path) -> None:
    for _ in range(5):
        done = command("--help", shell="| head -1", cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, "")


@thorough
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_output_that_cannot_be_written_is_an_error(
    tmp_path: Path, unbuffered: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    done = command("--version", shell="> /dev/full", cwd=tmp_path)
    assert done.returncode == 2
    assert "No space left on device" in done.stderr and "Exception ignored" not in done.stderr


PRINTING = """
import sys
from pathlib import Path
from xstat_ray.cli.program import exit_with

def action():
    for line in range(20_000):
        print(line, flush=line == 0)
    Path("over").touch()
    {end}

exit_with(action)
"""


@pytest.mark.parametrize(
    ("end", "code", "error"),
    [
        ("return 0", 0, ""),
        ("return 2", 2, ""),
        ("raise BrokenPipeError('another pipe')", 1, "another pipe"),
    ],
)
def test_an_action_without_a_reader_goes_on_to_its_end(
    tmp_path: Path, end: str, code: int, error: str
) -> None:
    (tmp_path / "printing.py").write_text(PRINTING.format(end=end))
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", f"{sys.executable} printing.py | true"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == code
    assert error in done.stderr and bool(done.stderr) == bool(error)
    assert (tmp_path / "over").exists()


def test_the_current_directory_neither_breaks_nor_hijacks_the_command(tmp_path: Path) -> None:
    for name in ("jobs/__init__.py", "jobs/plan.py", "conf/__init__.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("raise SystemExit('hijacked')")
    (tmp_path / "conf" / "plan.yaml").write_text("hijacked: true")
    done = command("plan", "study=nycflights", "display=quiet", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


# Completion

ask = partial(candidates, breaks=BREAKS)


def test_jobs_are_completed() -> None:
    assert ask("xstat-ray p") == ["plan ", "population "]
    assert {f"{name} " for name in NAMES} < set(ask("xstat-ray "))


def complete(folder: Path, line: str) -> list[str]:
    """What bash itself gets for the last word, from the script that a person evaluates."""
    (folder / "xstat-ray").write_text(
        f'#!/bin/sh\nexec {sys.executable} -P -m xstat_ray.cli "$@"\n'
    )
    (folder / "xstat-ray").chmod(0o755)
    code = (
        'eval "$(xstat-ray completion bash)"; complete -p xstat-ray > /dev/null || exit 9\n'
        f'COMP_LINE="{line}"; COMP_POINT=${{#COMP_LINE}}\n'
        '_xstat_ray xstat-ray; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    path = f"{folder}:{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["bash", "-c", code],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


@thorough
@pytest.mark.parametrize(
    ("line", "expected"),
    first(
        2,
        [
            ("xstat-ray cross", ["crosstab "]),
            ("xstat-ray plan --k", ["--keys"]),
            ("xstat-ray plan study=doto_movement_m", ["doto_movement_mesh "]),
            ("xstat-ray crosstab crypto.k", ["crypto.key_bits="]),
            ("xstat-ray crosstab study=nycflights privacy.eps", ["privacy.epsilon="]),
            ("xstat-ray budget data", ["dataset="]),
            ("xstat-ray nosuchjob a", [""]),
        ],
    ),
)
def test_bash_completes(tmp_path: Path, line: str, expected: list[str]) -> None:
    assert complete(tmp_path, line) == expected


@thorough
def test_bash_completes_own_studies_and_no_foreign_group(tmp_path: Path) -> None:
    (tmp_path / "mine" / "study").mkdir(parents=True)
    (tmp_path / "mine" / "study" / "shops.yaml").write_text("# @package _global_\nstudy: {}\n")
    assert complete(tmp_path, "xstat-ray plan --config-dir mine study=sh") == ["shops "]
    groups = complete(tmp_path, "xstat-ray synthesize ")
    assert {"scale=", "cluster=", "out="} < set(groups)
    assert not {"study=", "privacy=", "size="} & set(groups)
