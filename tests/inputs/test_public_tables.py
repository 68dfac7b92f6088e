"""Packages register reference tables: a study finds them, or is told what there is."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from xstat_ray.errors import StudyError
from xstat_ray.inputs.public_tables import PublicTable
from xstat_ray.inputs.section import Section
from xstat_ray.inputs.study_dimensions import FIELDS

Install = Callable[..., None]

AREAS = """
import pyarrow as pa

calls = []

def table():
    calls.append(1)
    return pa.table({"mesh": [11, 12, 13], "town": ["Kushiro", "Nemuro", "Kushiro"]})
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Call with the name of a package, and of the references that it registers, to install it."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(site)

    def add(package: str, *references: str) -> None:
        (site / f"{package}_areas.py").write_text(AREAS)
        info = site / f"{package}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        lines = [f"{reference} = {package}_areas:table" for reference in references]
        (info / "entry_points.txt").write_text("\n".join(["[xstat_ray.references]", *lines]))

    return add


def table_of(folder: Path, **fields: Any) -> PublicTable:
    return PublicTable(
        Section(fields, key="study.row.dimensions[0]", origin="s.yaml", known=FIELDS), folder
    )


def test_a_package_brings_a_reference_of_its_own(tmp_path: Path, install: Install) -> None:
    install("doto", "doto")
    table = table_of(tmp_path, reference="doto", only={"town": ["Kushiro"]})
    assert table.column("mesh") == ["11", "13"]
    assert table.column("town") == ["Kushiro", "Kushiro"]


def test_a_reference_is_made_once_for_all_columns(tmp_path: Path, install: Install) -> None:
    install("lazy", "lazy")
    table = table_of(tmp_path, reference="lazy")
    calls = importlib.import_module("lazy_areas").calls
    assert calls == []
    assert table.column("mesh") and table.column("town")
    assert calls == [1]


def test_the_reference_that_comes_with_the_package(tmp_path: Path) -> None:
    table = table_of(tmp_path, reference="hokkaido", only={"subprefecture": ["Nemuro"]})
    assert "Nakashibetsu" in table.column("municipality")


def test_an_unknown_reference_is_named_with_those_there_are(
    tmp_path: Path, install: Install
) -> None:
    install("north", "honshu", "aomori")
    with pytest.raises(StudyError, match="no package registers a reference 'kyushu'") as caught:
        table_of(tmp_path, reference="kyushu").column("mesh")
    assert caught.value.key == "study.row.dimensions[0].reference"
    assert caught.value.remedy == "Registered are: aomori, hokkaido, honshu"


def test_two_packages_that_register_one_name_are_named(tmp_path: Path, install: Install) -> None:
    install("north", "honshu")
    install("south", "honshu")
    with pytest.raises(StudyError, match="'honshu' is registered by north and south") as caught:
        table_of(tmp_path, reference="honshu").column("mesh")
    assert caught.value.remedy == "Uninstall all but one of them"


def test_a_column_that_a_reference_lacks(tmp_path: Path, install: Install) -> None:
    install("east", "east")
    with pytest.raises(StudyError, match="'east' has no column 'village'.* It has mesh, town"):
        table_of(tmp_path, reference="east").column("village")


@pytest.mark.parametrize(
    ("only", "message"),
    [
        ({"town": ["Kushiro"], "mesh": ["12"]}, "no row of the public table has these values"),
        (["Kushiro"], "only is not a mapping of column to list of values"),
        ({}, "only is not a mapping of column to list of values"),
    ],
)
def test_a_choice_of_rows_that_leaves_none(tmp_path: Path, only: object, message: str) -> None:
    (tmp_path / "areas.csv").write_text("mesh,town\n11,Kushiro\n12,Nemuro\n")
    with pytest.raises(StudyError, match=message) as caught:
        table_of(tmp_path, file="areas.csv", only=only)
    assert caught.value.key == "study.row.dimensions[0].only"


def test_a_value_of_a_choice_that_is_in_no_row(tmp_path: Path) -> None:
    """A code that has lost its zero would leave rows out without a word."""
    (tmp_path / "areas.csv").write_text("mesh,code\n11,01\n12,2\n")
    with pytest.raises(StudyError, match="no row of the public table has the value '02'") as caught:
        table_of(tmp_path, file="areas.csv", only={"code": ["01", "02"]})
    assert caught.value.key == "study.row.dimensions[0].only.code"


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("", "an empty value"),
        (" \u200b", "an empty value"),
        ("NULL", "a word that tools write"),
        ("NaN\ufeff", "a word that tools write"),
        ("9.01E+09", "lost digits"),
        ("12345678901234567.0", "lost digits"),
        ("a\0", "zero byte"),
    ],
)
def test_a_value_that_no_domain_can_have(tmp_path: Path, value: str, problem: str) -> None:
    (tmp_path / "areas.csv").write_text(f'mesh\n11\n"{value}"\n')
    with pytest.raises(StudyError, match=f"{problem}.*column mesh, row 2") as caught:
        table_of(tmp_path, file="areas.csv").column("mesh")
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("name", "content", "setting"),
    [
        ("areas.txt", "mesh\n11\n", "format: csv"),
        ("areas.csv", "mesh;town\n11;a\n", "delimiter: semicolon"),
        ("areas.csv", "mesh,town\n11,釧路\n", "encoding: cp932"),
        ("areas.csv", 'mesh,note\n11,"a\nc,d"\n', "multiline: allow"),
    ],
)
def test_a_remedy_is_what_the_study_takes(
    tmp_path: Path, name: str, content: str, setting: str
) -> None:
    (tmp_path / name).write_bytes(content.encode("cp932"))
    key, value = setting.split(": ")
    column = "town" if "釧路" in content else "mesh"
    with pytest.raises(StudyError) as caught:
        table_of(tmp_path, file=name).column(column)
    remedy = str(caught.value.remedy).replace("format: parquet|arrow|", f"{setting}|")
    assert f"{setting}" in remedy and "beside file" in remedy
    assert table_of(tmp_path, file=name, **{key: value}).column(column)
