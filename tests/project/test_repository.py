"""What a hosting platform and pre-commit read: valid, and resting on this repository and its environment alone."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.pages import ROOT

TEMPLATES = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yaml"))


def read(path: str) -> Any:
    return yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))


def test_the_workflow_runs_what_ci_runs_and_nothing_else() -> None:
    (job,) = read(".github/workflows/ci.yaml")["jobs"].values()
    actions = [step["uses"].partition("@")[0] for step in job["steps"] if "uses" in step]
    commands = [step["run"] for step in job["steps"] if "run" in step]
    assert set(actions) == {"actions/checkout", "actions/setup-python"}
    assert commands == [".ci/run"]
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111


def test_the_workflow_has_the_python_that_the_package_needs() -> None:
    (job,) = read(".github/workflows/ci.yaml")["jobs"].values()
    (version,) = [
        step["with"]["python-version"]
        for step in job["steps"]
        if "python-version" in step.get("with", {})
    ]
    assert f'requires-python = ">={version}"' in (ROOT / "pyproject.toml").read_text()


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.stem)
def test_issue_forms_have_what_the_platform_asks_for(template: Path) -> None:
    form = yaml.safe_load(template.read_text(encoding="utf-8"))
    assert {"name", "description", "body"} <= set(form)
    ids = [item["id"] for item in form["body"] if item["type"] != "markdown"]
    assert ids and len(set(ids)) == len(ids)
    assert all(item["attributes"].get("label") for item in form["body"] if "id" in item)


def test_whoever_reports_a_leak_is_sent_to_the_security_policy() -> None:
    for name in (
        "ISSUE_TEMPLATE/bug.yaml",
        "ISSUE_TEMPLATE/config.yml",
        "pull_request_template.md",
    ):
        assert "SECURITY.md" in (ROOT / ".github" / name).read_text(encoding="utf-8"), name


def test_hooks_are_tools_of_the_environment_and_find_files() -> None:
    files = [
        path.relative_to(ROOT).as_posix()
        for folder in ("xstat_ray", "tests")
        for path in (ROOT / folder).rglob("*")
    ]
    for repository in read(".pre-commit-config.yaml")["repos"]:
        assert repository["repo"] == "local"
        for hook in repository["hooks"]:
            assert hook["language"] == "system"
            assert hook["entry"].startswith(".venv/bin/")
            pattern = re.compile(hook.get("files", ""))
            assert any(pattern.search(name) for name in files), hook["id"]


def test_make_checks_with_the_tools_of_the_hooks() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (recipe,) = re.findall(r"^check:.*\n((?:\t.*\n)+)", makefile, re.M)
    hooks = [hook for repo in read(".pre-commit-config.yaml")["repos"] for hook in repo["hooks"]]
    tools = {hook["entry"].split()[0].rpartition("/")[2] for hook in hooks}
    assert {tool for tool in tools if not re.search(rf"\$\(BIN\)/{tool}\b", recipe)} == set()
