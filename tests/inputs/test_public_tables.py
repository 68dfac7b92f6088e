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
        ({"town": ["Sapporo"]}, "no row of the public table has these values"),
        (["Kushiro"], "only is not a mapping of column to list of values"),
        ({}, "only is not a mapping of column to list of values"),
    ],
)
def test_a_choice_of_rows_that_leaves_none(tmp_path: Path, only: object, message: str) -> None:
    (tmp_path / "areas.csv").write_text("mesh,town\n11,Kushiro\n")
    with pytest.raises(StudyError, match=message) as caught:
        table_of(tmp_path, file="areas.csv", only=only)
    assert caught.value.key == "study.row.dimensions[0].only"
