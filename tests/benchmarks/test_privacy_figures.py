"""Figures of the privacy suite: equal records give equal files."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image

from tests.heard import Heard
from xstat_ray.benchmarks.privacy_figures import AREAS, SHARDS, draw
from xstat_ray.benchmarks.timing import Record
from xstat_ray.errors import InputError
from xstat_ray.runtime.progress import Progress

RECORDS = [
    *(
        Record(f"privacy.rmse.{name}.cells_{4**k}", 1.0 + k, "people")
        for name in AREAS
        for k in range(9)
    ),
    *(
        Record(f"privacy.shards.{name}.{2**k}", 1.0 + k, "people")
        for name in SHARDS
        for k in range(7)
    ),
    Record("privacy.refine.seconds", 1.0, "s"),
]
COMMITTED = Path(__file__).parents[2] / "docs" / "figures"


def test_both_figures_are_drawn_and_the_same_every_time(tmp_path):
    pytest.importorskip("matplotlib")
    contents = []
    for folder in (tmp_path / "a", tmp_path / "b"):
        folder.mkdir()
        draw(RECORDS, folder, Progress())
        contents.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert contents[0] == contents[1]
    assert contents[0].keys() == {
        f"error_by_{what}.{kind}" for what in ("area", "shards") for kind in ("png", "svg")
    }
    for name, content in contents[0].items():
        if name.endswith(".png"):
            assert Image.open(io.BytesIO(content)).size == (1280, 800)
            continue
        text = content.decode()
        assert ElementTree.fromstring(text).tag.endswith("svg") and len(content) < 60_000
        lines = AREAS if name == "error_by_area.svg" else SHARDS
        assert all(f"fill: {line.colour.lower()}" in text for line in lines.values())


def test_what_is_drawn_depends_on_the_records(tmp_path):
    pytest.importorskip("matplotlib")
    draw(RECORDS, tmp_path, Progress())
    before = (tmp_path / "error_by_shards.svg").read_bytes()
    draw([r for r in RECORDS if r.metric != "privacy.shards.once.64"], tmp_path, Progress())
    assert (tmp_path / "error_by_shards.svg").read_bytes() != before


def test_without_matplotlib_there_is_a_note(tmp_path, monkeypatch):
    progress = Heard()
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    draw(RECORDS, tmp_path, progress)
    assert progress.notes == ["matplotlib is not installed: no figures are drawn."]
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_to_is_refused(tmp_path):
    pytest.importorskip("matplotlib")
    with pytest.raises(InputError, match="cannot write the output"):
        draw(RECORDS, Path(__file__) / "figures", Progress())


@pytest.mark.parametrize("name", ["error_by_area.svg", "error_by_shards.svg"])
def test_the_figures_of_the_documentation_are_small_and_carry_no_date(name):
    content = (COMMITTED / name).read_text()
    assert len(content) < 60_000 and "<dc:date>" not in content
