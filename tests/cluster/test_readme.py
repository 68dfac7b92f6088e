"""The cluster's README says what its files say: costs, ports, commands."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

ROOT = Path(__file__).parents[2]
README = (ROOT / "cluster/README.md").read_text()


def rows_of(text):
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line[:1] == "|"
    ]


def test_the_cost_is_the_sum_of_its_table():
    prices = [row for row in rows_of(README) if re.fullmatch(r"[\d.]+", row[-1])]
    assert [row[0] for row in prices] == ["head", "row", "column", "pool"]
    hour = sum(int(row[2]) * float(row[3]) for row in prices)
    assert f"that is {hour:.2f} USD an hour, or {hour / 2:.2f} for half an hour" in README


def test_the_files_it_lists_are_those_that_are_there():
    listed = {
        name
        for row in rows_of(README)
        for name in re.findall(r"`([\w/.-]+\.(?:yaml|py|sh)|Dockerfile)`", row[0])
    }
    there = {
        str(p.relative_to(ROOT / "cluster"))
        for p in (ROOT / "cluster").rglob("*")
        if p.is_file() and "cache" not in str(p)
    }
    assert {Path(name).name for name in listed} == {Path(name).name for name in there} - {
        "README.md"
    }


def test_the_submitted_command_is_understood():
    (command,) = re.findall(r"ray job submit .*?(xstat-ray crosstab.*?)\n```", README, re.S)
    words = shlex.split(command.replace("\\\n", " "))
    with initialize_config_dir(version_base="1.3", config_dir=str(ROOT / "conf")):
        composed = compose("crosstab", overrides=words[2:])
    assert composed.cluster.labels.pool.party == "none" and composed.cluster.wait_seconds == 600


@pytest.mark.parametrize("port", ["6379", "8265", "27001", "27006"])
def test_the_ports_it_names_are_those_of_the_files(port):
    files = (ROOT / "cluster/start_node.sh").read_text()
    first = int(re.findall(r"XSTAT_FIRST_PORT:-(\d+)", files)[0])
    assert port in README and port in {"6379", "8265", str(first), str(first + 5)}
