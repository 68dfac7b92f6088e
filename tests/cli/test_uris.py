"""A URI that cannot be served where it stands is refused, whatever the setting; no folder `s3:` appears."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from jobs import budget, nycflights, verify
from tests.configuration import CONF
from tests.project.test_docs import CONFIGS
from tests.sizes import first
from xstat_ray.cli.hydra_job import refuse_credentials
from xstat_ray.errors import InputError
from xstat_ray.inputs.source import Source
from xstat_ray.util.location import Location

URI = "s3://bucket/x"
JOBS = CONFIGS | {
    "budget": lambda raw, origin: budget.main({**raw, "verb": "show"}, origin),
    "nycflights": nycflights.main,
    "verify": verify.main,
}
NEEDED = {
    "crosstab": ("out=out", "study=nycflights", "data.row.path=x", "data.column.path=x"),
    "plan": ("study=nycflights",),
    "approve": ("study=nycflights", "party=row"),
    "deidentify": ("study=nycflights", "party=row", "data.row.path=x"),
    "aggregate": ("study=nycflights",),
    "release": ("study=nycflights", "party=row", "step=approve", "out=out"),
    "report": ("run=x", "out=x"),
    "verify": ("release=x",),
    "benchmark": ("suite=shards", "out=x"),
}
DOMAIN = (
    "domain.run=x",
    "domain.private=x",
    "domain.exchange=x",
    *(f"domain.peers.{name}='{'ab' * 32}'" for name in ("row", "column", "aggregator")),
)
PATHS = {"out", "ledger", "tables", "records", "page", "release", "run", "figure"} | {
    *("path", "exclude", "presence", "subscribers", "register", "private", "identity"),
    *("exchange", "spill", "timeline", "movement", "catchment", "population", "preboarding"),
    "peers_python",
}
"""Last parts of the keys of settings that name a file or a folder."""
SERVED = {
    "crosstab": {"out", "data.row.path", "data.row.exclude", "data.column.path", "data.column.exclude"},
    "approve": {"domain.exchange"},
    "deidentify": {"data.row.path", "data.row.exclude", "domain.exchange"},
    "aggregate": {"domain.exchange"},
    "release": {"out", "domain.exchange"},
    "population": {"tables", *(f"data.{n}" for n in ("presence", "subscribers", "register", "exclude"))},
}  # fmt: skip
UNUSED = {
    "plan": {"out", "data.row.path", "data.row.exclude", "data.column.path", "data.column.exclude"},
    "deidentify": {"data.column.path", "data.column.exclude", "data.column.ledger"},
    "release": {
        "data.column.ledger",
        *(f"data.{role}.{name}" for role in ("row", "column") for name in ("path", "exclude")),
    },
    **{
        job: {f"data.{role}.{name}" for role in ("row", "column") for name in ("path", "exclude")}
        for job in ("approve", "aggregate")
    },
}
"""Settings that a job takes for the sake of others and does not read."""


@cache
def composed(job: str) -> dict[str, Any]:
    domain = DOMAIN if job in ("approve", "deidentify", "aggregate", "release") else ()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        raw = OmegaConf.to_container(compose(job, [*NEEDED.get(job, ()), *domain]), resolve=True)
    assert isinstance(raw, dict)
    return {str(key): value for key, value in raw.items()}


def leaves(raw: dict[str, Any], before: str = "") -> Iterator[str]:
    for key, value in raw.items():
        if isinstance(value, dict):
            if before or key not in ("study", "privacy", "population"):
                yield from leaves(value, f"{before}{key}.")
        elif key in PATHS and f"{before}{key}" != "domain.run":
            yield f"{before}{key}"


def accepting(job: str, uri: str) -> set[str]:
    """Settings of a job that take a URI; all others refuse it by their names."""
    accepted = set()
    for key in leaves(composed(job)):
        raw = copy.deepcopy(composed(job))
        inner = raw
        *parts, last = key.split(".")
        for part in parts:
            inner = inner[part]
        inner[last] = uri
        if key == "figure":
            raw["sweep"] = {"privacy.epsilon": [1]}
        try:
            JOBS[job](raw, "the command line")
        except InputError as error:
            assert re.search(
                "object store cannot serve here|ledger cannot lie at|cannot be served", str(error)
            )
            assert last in str(error)
        else:
            accepted.add(key)
    return accepted


@pytest.mark.parametrize("job", sorted(JOBS))
def test_a_uri_is_served_or_refused_wherever_a_path_is_set(job, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert accepting(job, URI) == SERVED.get(job, set()) | UNUSED.get(job, set())
    assert list(tmp_path.iterdir()) == []


OTHERS = ["dbfs:/x", "jdbc:postgresql://h/db", "az://c/x", "s3n:/b/x", "duckdb:x.db"]
"""What other programs read as addresses; `dbfs:/x` would be a folder `dbfs:` of this one."""
PLACES = {"crosstab", "deidentify", "population", "needs"}
"""Jobs that have all kinds of settings among them."""


@pytest.mark.parametrize("uri", first(1, OTHERS))
def test_an_address_that_no_setting_serves_is_refused_by_all(uri, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for job in PLACES:
        accepted = accepting(job, uri)
        # The folder of tables is only the beginning of other settings.
        assert accepted <= UNUSED.get(job, set()) | {"tables"}, accepted
    assert list(tmp_path.iterdir()) == []


def test_the_settings_that_name_a_path_are_all_met():
    assert {key.rpartition(".")[2] for job in JOBS for key in leaves(composed(job))} == PATHS


def test_from_python_a_uri_that_became_a_path_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for make in (Source, Source.of, Location.of):
        with pytest.raises(InputError, match="became a path of a disk"):
            made = make(Path("s3://bucket/x"))
            assert isinstance(made, Source) and made.absolute


@pytest.mark.parametrize(
    "argument",
    [
        "data.row.path=s3://AKIA:CANARY@b/x",
        "data.row.exclude=['s3://b/x','s3://AKIA:CANARY@b/x']",
        '+study.row.file="s3a://AKIA:CANARY@b/x"',
        "out='gs://b/x?access_token=CANARY'",
    ],
)
def test_credentials_on_a_command_line_are_refused_before_anything_repeats_them(argument):
    with pytest.raises(InputError, match="environment|s3a:// cannot be served") as caught:
        refuse_credentials(argument)
    assert "CANARY" not in str(caught.value)
    assert caught.value.key == argument.partition("=")[0].lstrip("+")


def test_other_arguments_pass():
    for argument in (
        "out=s3://b/x",
        "--config-dir",
        "data.row.path='s3://b/x?region=y'",
        "a=b@c:d",
    ):
        refuse_credentials(argument)
