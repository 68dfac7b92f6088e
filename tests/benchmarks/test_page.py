"""Tables of records in a page, and the figure of the shards suite."""

from __future__ import annotations

import pytest

from tests.heard import Heard
from xstat_ray.benchmarks import page
from xstat_ray.benchmarks.shards_figure import draw, points
from xstat_ray.benchmarks.timing import Record
from xstat_ray.errors import InputError
from xstat_ray.runtime.progress import Progress

CUTS = [
    Record(f"shards.{shards}.workers.{workers}.{name}", value * workers, unit)
    for workers in (1, 2)
    for shards in (1, 64)
    for name, value, unit in (("rows_per_s", 1e6, "rows/s"), ("aggregate", 2.0, "s"))
]
PAGE = (
    "# Page\n\n<!-- records: shards -->\nold\n<!-- end of records -->\n\n"
    "<!-- records: peers -->\n<!-- end of records -->\n"
)


def test_a_table_is_written_between_its_markers_and_nothing_else_changes(tmp_path):
    path = tmp_path / "page.md"
    path.write_text(PAGE)
    page.update(path, "shards", [Record("shards.rows", 5e6, "rows"), *CUTS], "A machine.")
    before, _, after = path.read_text().partition("<!-- records: shards -->\nA machine.\n\n")
    assert (before, after.partition("<!-- end of records -->")[2]) == (
        PAGE[:8],
        PAGE.partition("<!-- end of records -->")[2],
    )
    assert "| `rows` | 5 M rows |" in after
    assert "| workers | shards | rows per s | aggregate, s |" in after
    assert "| 2 | 64 | 2 M | 4 |" in after
    once = path.read_text()
    page.update(path, "shards", [Record("shards.rows", 5e6, "rows"), *CUTS], "A machine.")
    assert path.read_text() == once


def test_comparisons_stand_beside_each_other():
    text = page.table(
        [
            Record("peers.phe.2048", 100.0, "rows/s", None, 2.0, 50.0),
            Record("peers.ours", 100.0, "rows/s"),
        ]
    )
    assert text.splitlines()[0] == "| metric | value | beside | ratio |"
    assert (
        "| `phe.2048` | 100 rows/s | 2 | 50 |" in text and "| `ours` | 100 rows/s |  |  |" in text
    )


@pytest.mark.parametrize("content", [None, "no markers", "<!-- records: tags -->"])
def test_a_page_without_a_place_is_refused(tmp_path, content):
    if content is not None:
        (tmp_path / "page.md").write_text(content)
    with pytest.raises(InputError):
        page.update(tmp_path / "page.md", "tags", [], "")


def test_throughput_is_drawn_by_shards_and_workers(tmp_path):
    assert points(CUTS) == {1: {1: 1.0, 64: 1.0}, 2: {1: 2.0, 64: 2.0}}
    draw(CUTS, tmp_path, Progress())
    first = (tmp_path / "throughput_by_shards.svg").read_bytes()
    draw(CUTS, tmp_path, Progress())
    assert (
        first.startswith(b"<?xml") and (tmp_path / "throughput_by_shards.svg").read_bytes() == first
    )


def test_without_matplotlib_nothing_is_drawn(tmp_path, monkeypatch):
    import sys

    progress = Heard()
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    draw(CUTS, tmp_path, progress)
    assert progress.notes == ["matplotlib is not installed: no figures are drawn."] and not list(
        tmp_path.iterdir()
    )
