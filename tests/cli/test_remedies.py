"""What an error tells people to type on a command line is understood there."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from xstat_ray.util.package_files import CONF, JOBS

ROOT = Path(__file__).parents[2]
KEY = r"(\+{0,2}[a-z]\w*(?:\.\w+)*)"
SETTING = re.compile(rf"(?<![\w.@/-])(?:'{KEY}=([^']*)'|{KEY}=(\{{[^}}]*}}|\[[^]]*]|[^\s,;:)]*))")
"""A setting as a whole in quotes of the shell, or without."""
SHELL = set('[]{}()*&;<>|$ ~#!?"\\')
"""What a shell reads as something else than text."""
STANDS_FOR = "1"
"""Stands for what an error fills in."""
NO_SETTINGS = {"key", "k", "x", "with", "schema", "target_session_attrs"}
"""Words before `=` that are no settings: places to fill in, and parts of addresses."""
STUDY = "nycflights"


def remedies() -> Iterator[tuple[str, str]]:
    """Every text of the package that tells what to do, with its place."""
    for path in sorted((ROOT / "xstat_ray").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            found: ast.expr | None = None
            if isinstance(node, ast.keyword) and node.arg == "remedy":
                found = node.value
            elif isinstance(node, ast.Assign | ast.AnnAssign):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                names = [target.id.lower() for target in targets if isinstance(target, ast.Name)]
                if any("remedy" in name or "remedies" in name for name in names):
                    found = node.value
            if found is not None:
                yield (
                    f"{path.relative_to(ROOT)}:{node.lineno if hasattr(node, 'lineno') else 0}",
                    text(found),
                )


def text(node: ast.expr) -> str:
    """The texts of an expression, one after the other, with what is filled in replaced."""
    parts = []
    for part in ast.walk(node):
        if isinstance(part, ast.JoinedStr):
            parts.append(
                "".join(
                    str(value.value) if isinstance(value, ast.Constant) else STANDS_FOR
                    for value in part.values
                )
            )
        elif isinstance(part, ast.Constant) and isinstance(part.value, str):
            parts.append(part.value)
    return " \n ".join(parts)


def settings() -> list[tuple[str, str, str]]:
    """Every setting of a remedy: its place, key and value."""
    found = {}
    for place, remedy in remedies():
        for key, value, bare_key, bare in SETTING.findall(remedy):
            assert not SHELL & set(bare), f"{place}: {bare_key}={bare} needs quotes in a shell"
            if (key or bare_key) not in NO_SETTINGS:
                found.setdefault((key or bare_key, value or bare.strip(".")), place)
    return [(place, key, value) for (key, value), place in found.items()]


@cache
def keys() -> frozenset[str]:
    """All settings and choices of all jobs."""
    known: set[str] = set()
    for job in sorted(JOBS.glob("[a-z]*.py")):
        GlobalHydra.instance().clear()
        with initialize_config_dir(str(CONF), version_base="1.3"):
            raw = (
                compose(job.stem, overrides=[], return_hydra_config=False)
                if not _has_study(job.stem)
                else compose(job.stem, overrides=[f"study={STUDY}"])
            )
        known |= _paths(OmegaConf.to_container(raw), "")
    known |= {path.name for path in Path(CONF).iterdir() if path.is_dir()}
    return frozenset(known)


def _has_study(job: str) -> bool:
    return "study: ???" in (Path(CONF) / f"{job}.yaml").read_text("utf-8")


def _paths(raw: object, above: str) -> set[str]:
    if not isinstance(raw, dict):
        return {above}
    below = set().union(*(_paths(value, f"{above}.{key}".strip(".")) for key, value in raw.items()))
    return below | {above}


def test_there_are_remedies_with_settings():
    assert len(settings()) > 15


@pytest.mark.parametrize(("place", "key", "value"), settings())
def test_a_setting_in_a_remedy_is_one_that_a_job_has(place, key, value):
    override = OverridesParser.create().parse_override(f"{key}={value}")
    # A party is filled in; what is the same for both may be said without it.
    whole = override.key_or_group.replace(f".{STANDS_FOR}.", ".row.")
    assert {whole, f"data.row.{whole}"} & keys(), f"{place}: no job has {key}"


def test_a_setting_that_no_job_has_is_found():
    planted = SETTING.findall("Set scale.shards=7, or +window=3; TMPDIR=/tmp stays")
    assert planted == [("", "", "scale.shards", "7"), ("", "", "+window", "3")]
    assert SETTING.findall("'a.b=[c,d]'") == [("a.b", "[c,d]", "", "")]
    assert SETTING.findall("a.b=[c,d]") == [("", "", "a.b", "[c,d]")]
    assert "scale.shards" not in keys()
    assert {"shards", "window", "cluster.store_bytes", "scale", "out"} <= keys()
