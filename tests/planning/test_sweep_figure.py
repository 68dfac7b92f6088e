"""A sweep as a figure."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest

from tests.sizes import first
from xstat_ray.errors import InputError
from xstat_ray.planning.sweep import Point, Shown, Sweep
from xstat_ray.planning.sweep_figure import lines, write_figure

SWEEP = Sweep(
    ("privacy.epsilon", "study.bounds.boardings"),
    (
        Point((0.5, 1), "laplace", "flat", {"cell": 4.0}),
        Point((0.5, 2), "gaussian", "flat", {"cell": 8.0, "town": 9.0}),
        Point((1, 1), "laplace", "flat", {"cell": 2.0}),
        Point((1, 2), "", "", {}, "refused"),
    ),
)


def test_a_line_holds_the_errors_of_one_setting_of_the_other_keys():
    assert lines(SWEEP, "cell") == {"1": {0.5: 4.0, 1: 2.0}, "2": {0.5: 8.0}}
    assert lines(SWEEP, "town") == {"2": {0.5: 9.0}}


@pytest.mark.parametrize(("name", "begins"), first(1, [("e.svg", b"<?xml"), ("e.png", b"\x89PNG")]))
def test_it_is_drawn_into_the_file_that_was_named(tmp_path, name, begins):
    write_figure(SWEEP, "cell", tmp_path / name)
    content = (tmp_path / name).read_bytes()
    assert content.startswith(begins)
    write_figure(SWEEP, "cell", tmp_path / name)
    assert (tmp_path / name).read_bytes() == content


@pytest.mark.parametrize(
    ("name", "level", "message"),
    [
        ("e.pdf", "cell", "End its name with .svg or .png"),
        ("e.svg", "county", "Use one of cell, town"),
        ("none/e.svg", "cell", "cannot be written"),
    ],
)
def test_what_cannot_be_drawn_is_refused(tmp_path, name, level, message):
    with pytest.raises(InputError, match=message):
        write_figure(SWEEP, level, tmp_path / name)


def test_without_matplotlib_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(InputError, match="need matplotlib.*pip install"):
        write_figure(SWEEP, "cell", tmp_path / "e.svg")


def test_what_would_be_published_is_drawn_beside_the_errors(tmp_path):
    shown = (Shown(4, 0.5, 1), Shown(0, None, 0), Shown(2, float("inf"), 0), None)
    points = tuple(replace(point, shown=of) for point, of in zip(SWEEP.points, shown, strict=True))
    write_figure(replace(SWEEP, points=points), "cell", tmp_path / "e.svg")
    write_figure(SWEEP, "cell", tmp_path / "alone.svg")
    wide, alone = (
        (tmp_path / name).read_text().count('id="axes_') for name in ("e.svg", "alone.svg")
    )
    assert (wide, alone) == (3, 1)
