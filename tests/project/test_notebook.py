"""The notebook runs on the statistics beside it, and the figures that the pages show are its own."""

from __future__ import annotations

import json
import shutil

import nbformat
import numpy as np
import pytest
from matplotlib.image import imread
from nbclient import NotebookClient

from tests.pages import ROOT, text_of
from tests.sizes import thorough

pytestmark = thorough

EXAMPLES = ROOT / "docs" / "examples"
FIGURES = ("hours.png", "map.png", "watershed.png")


@pytest.fixture(scope="module")
def notebook(tmp_path_factory):
    """The notebook after a run in a copy of its folder, without the figures, and the folder."""
    folder = tmp_path_factory.mktemp("notebook") / "examples"
    shutil.copytree(EXAMPLES, folder, ignore=shutil.ignore_patterns("*.png"))
    loaded = nbformat.read(folder / "hokkaido.ipynb", as_version=4)
    patch = pytest.MonkeyPatch()
    with patch.context() as environment:
        environment.setenv("PYTHONPATH", str(ROOT))
        environment.setenv("IPYTHONDIR", str(folder.parent))
        NotebookClient(loaded, timeout=120, resources={"metadata": {"path": str(folder)}}).execute()
    return loaded, folder


@pytest.mark.parametrize("name", FIGURES)
def test_it_draws_the_committed_figures(notebook, name):
    drawn = imread(notebook[1] / name)
    committed = imread(EXAMPLES / name)
    assert drawn.shape == committed.shape and drawn.std() > 0.05
    # Fonts may be rendered a little differently elsewhere.
    assert np.mean(np.abs(drawn - committed) > 0.1) < 0.02


def test_it_draws_no_other_and_warns_of_nothing(notebook):
    loaded, folder = notebook
    assert {path.name for path in folder.glob("*.png")} == set(FIGURES)
    outputs = [output for cell in loaded.cells for output in cell.get("outputs", [])]
    assert {output.output_type for output in outputs} <= {"display_data", "execute_result"}
    assert len([output for output in outputs if "image/png" in output.get("data", {})]) == len(
        FIGURES
    )


def test_it_was_committed_as_it_was_run():
    loaded = nbformat.read(EXAMPLES / "hokkaido.ipynb", as_version=4)
    assert [cell.execution_count for cell in loaded.cells if cell.cell_type == "code"] == [
        1,
        2,
        3,
        4,
        5,
    ]


def test_what_is_committed_is_published_statistics_only():
    kept = {path.name for path in (EXAMPLES / "hokkaido").rglob("*") if path.is_file()}
    assert kept == {"statistics.parquet", "areas.parquet", "manifest.json"}
    for path in (EXAMPLES / "hokkaido").rglob("manifest.json"):
        manifest = json.loads(path.read_text())
        assert not manifest["noise_free"] and manifest["spent"]["epsilon"] == "1"


def test_the_page_shows_every_figure():
    assert all(f"(examples/{name})" in text_of("docs/notebook.md") for name in FIGURES)
