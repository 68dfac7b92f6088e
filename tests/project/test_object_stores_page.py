"""The page on object stores: its commands are run as they are written, and what it lists is so."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.object_store import Bucket, Server
from tests.pages import blocks, text_of
from tests.project.test_docs import SMALLER, environment, install_command
from tests.sizes import slow
from xstat_ray.inputs.nycflights import write_tables
from xstat_ray.publication.release import read
from xstat_ray.util.object_stores import OPTIONS

PAGE = "docs/object_stores.md"


@slow
def test_the_commands_of_the_page_run_as_they_are_written(
    tmp_path: Path, bucket: Bucket, s3_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But for the port of the endpoint; the reader of the first has a store that is known by itself."""
    row, column = write_tables(tmp_path / "data")
    operator, airline, results = (
        Bucket(s3_server, name) for name in ("operator", "airline", "results")
    )
    operator.copy(row, f"flights/{row.name}")
    airline.copy(column, "planes.parquet")
    (tmp_path / "bin").mkdir()
    environ = environment(install_command(tmp_path / "bin", SMALLER))
    commands = [block.text for block in blocks(PAGE) if "xstat-ray" in block.text]
    assert len(commands) == 3
    for number, command in enumerate(commands):
        known = {} if number else {"AWS_ENDPOINT_URL": bucket.endpoint}
        done = subprocess.run(
            [
                "bash",
                "-euo",
                "pipefail",
                "-c",
                command.replace("http://127.0.0.1:9000", bucket.endpoint),
            ],
            cwd=tmp_path,
            env=environ | known,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
    releases = [read(results.uri(name)) for name in ("nycflights", "by_environment", "by_uri")]
    assert len({release.manifest["release"] for release in releases}) == 3
    assert not (tmp_path / "s3:").exists() and (tmp_path / ".xstat-ray" / "releases").exists()


def test_the_settings_of_uris_are_listed() -> None:
    named = r"((?:`\w+`(?:, )?)+)"
    rows = re.findall(rf"^\| {named} \| {named} \|$", text_of(PAGE), re.M)
    listed = {
        scheme: tuple(re.findall(r"`(\w+)`", options))
        for schemes, options in rows
        for scheme in re.findall(r"`(\w+)`", schemes)
    }
    assert {scheme: listed[scheme] for scheme in OPTIONS} == OPTIONS
