"""The page on three domains: the commands of all three are run as they are written, at the same time."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from tests.pages import blocks
from tests.project.test_docs import environment, install_command
from tests.sizes import slow
from xstat_ray.inputs.nycflights import write_tables
from xstat_ray.publication.release import read

ALIKE = "crypto.key_bits=2048 \"privacy.padding='off'\""
SMALLER = {
    "deidentify": f"runtime=local {ALIKE}",
    "aggregate": f"runtime=local {ALIKE}",
    "release": ALIKE,
    "approve": ALIKE,
}


@slow
def test_the_commands_of_all_three_domains_run_as_they_are_written(tmp_path: Path) -> None:
    write_tables(tmp_path / "data")
    (tmp_path / "bin").mkdir()
    command = install_command(tmp_path / "bin", SMALLER)
    found = {
        found[1]: block.text
        for block in blocks("docs/domains.md")
        if (found := re.match(r"# ([\w ,]+)\.\n", block.text))
    }
    assert len(found) == 10

    def start(who: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["bash", "-euo", "pipefail", "-c", found.pop(who)],
            cwd=tmp_path,
            env=environment(command),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    for roles in (
        ["The row party, once", "The column party, once", "The aggregator, once"],
        ["The row party approves", "The column party approves", "The aggregator approves"],
        ["The row party", "The column party", "The aggregator"],
        ["Anybody"],
    ):
        processes = [start(who) for who in roles]
        for process in processes:
            said = process.communicate(timeout=300)[0]
            assert process.returncode == 0, said
    assert "Shown:" in said and "WRONG" not in said
    assert read(tmp_path / "out" / "2024-05").manifest["run"] == "2024-05"
    assert not found
