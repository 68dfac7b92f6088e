"""Figures for slides are drawn, differ from blank paper, and say so when the noise was off."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from xstat_ray.hokkaido.report.data import read_layers
from xstat_ray.hokkaido.report.figures import drawings
from xstat_ray.util.plotting import figure_files

NAMES = (
    "map_doto_movement",
    "map_catchment",
    "profile_doto_movement",
    "profile_preboarding",
    "watershed",
    "needs",
)


@pytest.mark.parametrize("name", NAMES)
def test_every_figure_is_drawn_both_ways(report, name):
    pixels = np.asarray(Image.open(report / f"{name}.png").convert("L"))
    assert pixels.shape[0] > 600 and 0.02 < (pixels < 200).mean() < 0.6
    text = (report / f"{name}.svg").read_text()
    assert text.count("<path") > 20 and "</svg>" in text


def test_figures_of_exact_counts_are_stamped(exact):
    files = figure_files(drawings([read_layers(exact.catchment)[0]], None))
    assert set(files) == {"map_catchment.png", "map_catchment.svg"}
    image = np.asarray(Image.open(io.BytesIO(files["map_catchment.png"])).convert("RGB")).astype(
        int
    )
    red = (image[..., 0] > 150) & (image[..., 1] < 110) & (image[..., 2] < 110)
    assert red.sum() > 1000
