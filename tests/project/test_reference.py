"""The reference pages say what the code does: every key, every column, every exit code, and no other."""

from __future__ import annotations

import inspect
import json
import re
from dataclasses import fields

import pyarrow.parquet as pq
import pytest
import yaml

import xstat_ray
from tests.case import Case
from tests.configuration import CONF, MAINS, groups_of, settings_of
from tests.pages import PAGES, ROOT, text_of
from xstat_ray import errors
from xstat_ray.cli import program
from xstat_ray.hokkaido.world.settings import World
from xstat_ray.inputs.study_file import COLUMN_FIELDS, ROW_FIELDS, STUDY_FIELDS
from xstat_ray.inputs.study_privacy import PRIVACY_FIELDS
from xstat_ray.model.study import Bounds, Privacy


def section(page, heading):
    """The text under a heading, up to the next one of its level or above."""
    level = heading.index(" ")
    return re.split(rf"^#{{1,{level}}} ", text_of(page).partition(f"\n{heading}\n")[2], flags=re.M)[
        0
    ]


def rows(text):
    """The cells of the rows of all tables, without header and rule."""
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line[:1] == "|"
    ]
    rules = {i for i, row in enumerate(cells) if set("".join(row)) <= set("- ")}
    return [row for i, row in enumerate(cells) if not {i, i + 1} & rules]


def names(cell):
    return re.findall(r"`([^`]+)`", cell)


def flat(node, prefix=""):
    for key, value in node.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def settings(main):
    """What the file of a job sets or asks for, its groups and what it includes as well."""
    return groups_of(main) | dict(flat(settings_of(main)))


def written(value):
    if isinstance(value, list):
        return f"`[{', '.join(value)}]`"
    return (
        ""
        if value == "???"
        else f"`{json.dumps(value)}`"
        if value is None or value in (True, False)
        else f"`{value}`"
    )


DOMAIN_JOBS = ("approve", "deidentify", "aggregate", "release")
"""Jobs that have the keys of one table in common."""


@pytest.mark.parametrize("main", MAINS)
def test_the_keys_of_every_job_are_listed_with_their_defaults(main):
    headings = [f"## {main}", *(["## All jobs of a domain"] if main in DOMAIN_JOBS else [])]
    listed = {
        name: row[1]
        for heading in headings
        for row in rows(section("docs/configuration.md", heading))
        for name in names(row[0])
    }
    actual = {key: written(value) for key, value in settings(main).items()}
    if main == "plan":
        actual = {key: value for key, value in actual.items() if key not in settings("crosstab")}
    assert listed == actual


def test_the_keys_of_the_groups_are_listed():
    scale = rows(section("docs/configuration.md", "### scale"))
    listed = {name for row in scale if len(row) == 2 for name in names(row[0])}
    files = [
        dict(flat(yaml.safe_load(path.read_text()))) for path in (CONF / "scale").glob("*.yaml")
    ]
    assert listed == {
        "world" if key.startswith("world.") else key for keys in files for key in keys
    }
    usual = World().as_dict()
    assert {names(row[0])[0]: row[1] for row in scale if len(row) == 3} == {
        k: written(v) for k, v in usual.items()
    }
    cluster = rows(section("docs/configuration.md", "### cluster"))
    files = {
        path.stem: yaml.safe_load(path.read_text()) for path in (CONF / "cluster").glob("*.yaml")
    }
    assert files.keys() == {"local", "existing", "labelled"}
    for number, choice in ((1, "local"), (2, "existing"), (3, "labelled")):
        assert files[choice].pop("defaults", ["local"]) == ["local"]
        actual = {key: written(value) for key, value in (files["local"] | files[choice]).items()}
        listed = {names(row[0])[0].removeprefix("cluster."): row[number] for row in cluster}
        assert listed == actual | ({"labels": "by `party`"} if choice == "labelled" else {})


def test_the_choices_of_the_scale_are_listed():
    described = {
        name for row in rows(section("docs/world.md", "## Scales")) for name in names(row[0])
    }
    with_world = {
        p.stem for p in (CONF / "scale").glob("*.yaml") if "world" in yaml.safe_load(p.read_text())
    }
    assert described == with_world


def test_the_keys_of_a_study_are_listed():
    keys = {
        "## study": STUDY_FIELDS,
        "### row and column": {*ROW_FIELDS, *COLUMN_FIELDS},
        "### bounds": [field.name for field in fields(Bounds)],
        "## privacy": PRIVACY_FIELDS,
    }
    for heading, known in keys.items():
        text = re.split(r"^###? ", section("docs/studies.md", heading), flags=re.M)[0]
        assert {name for row in rows(text) for name in names(row[0])} == set(known), heading
    assert set(PRIVACY_FIELDS) == {field.name for field in fields(Privacy)}


def test_the_jobs_are_listed():
    listed = {
        names(row[0])[0].removeprefix("xstat-ray ")
        for row in rows(text_of("docs/command_line.md"))
        if "xstat-ray" in row[0]
    }
    assert listed == {
        path.stem for path in (ROOT / "jobs").glob("*.py") if not path.stem.startswith("_")
    }


def test_the_pages_of_the_api_have_every_public_name():
    shown = {
        name
        for page in PAGES
        if page.startswith("docs/api/")
        for name in re.findall(r"^::: (\S+)", text_of(page), re.M)
    }
    public = {name: getattr(xstat_ray, name) for name in xstat_ray.__all__}
    assert {
        name
        for name, thing in public.items()
        if not {thing.__module__, f"{thing.__module__}.{thing.__name__}"} & shown
    } == set()


def test_the_exit_codes_are_listed():
    classes = [
        c
        for _, c in inspect.getmembers(errors, inspect.isclass)
        if issubclass(c, errors.XstatError)
    ]
    actual = {0, program.INTERRUPTED, program.BAD_INPUT, *(c.exit_code for c in classes)}
    listed = {int(row[0]) for row in rows(section("docs/command_line.md", "## Exit codes"))}
    assert listed == actual


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    return Case(tmp_path_factory.mktemp("case"))


@pytest.fixture(scope="module")
def folder(release):
    from tests.case import COLUMNS, study

    release.write("column", {**COLUMNS, "fare": [100, 200, None, 400]})
    measures = [{"name": "fare", "low": 0, "high": 300, "unit": "JPY"}]
    privacy = {"delta": "1e-6", "smooth": True}
    release.run(study(noise="gaussian", column={"measures": measures}, privacy=privacy))
    return release.out


@pytest.mark.parametrize("table", ["statistics", "areas"])
def test_the_columns_of_the_published_tables_are_listed(folder, table):
    schema = pq.read_schema(folder / f"{table}.parquet")
    actual = [
        (field.name, str(field.type)) for field in schema if field.name not in ("area", "kind")
    ]
    of_measures = [
        (name, row[1])
        for row in rows(section("docs/outputs.md", "## Columns of measures"))
        for name in names(row[0])
    ]
    assert [pair for pair in actual if pair[0].startswith("fare")] == of_measures
    actual = [pair for pair in actual if pair not in of_measures]
    listed = [
        (n, row[1])
        for row in rows(section("docs/outputs.md", f"## {table}.parquet"))
        for n in names(row[0])
    ]
    assert [pair for pair in listed if pair[0] != "area"] == actual
    assert [row[0] for row in rows(section("docs/outputs.md", f"## {table}.parquet"))].count(
        "*column dimensions*"
    ) == 1


@pytest.mark.parametrize(
    ("heading", "file"),
    [("manifest.json", "manifest.json"), ("parties/", "parties/*/intake.json")],
)
def test_the_keys_of_the_json_files_are_listed(folder, heading, file):
    found = list(folder.glob(file))
    assert found
    actual = {key for path in found for key in json.loads(path.read_text())} - {"party"}
    assert {
        n for row in rows(section("docs/outputs.md", f"## {heading}")) for n in names(row[0])
    } == actual


def test_the_files_of_a_release_are_described(folder):
    text = text_of("docs/outputs.md")
    found = {path.relative_to(folder).parts[0] for path in folder.rglob("*") if path.is_file()}
    assert {name for name in found if name not in text and not name.endswith(".csv")} == set()
