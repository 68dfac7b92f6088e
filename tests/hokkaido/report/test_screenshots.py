"""The committed pictures show today's report: size, languages, what is chosen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.hokkaido.report import screenshots
from tests.pages import ROOT
from xstat_ray.hokkaido.report.make import PAGE

NAMES = ("report.png", "report.ja.png")
FIXED = (slice(0, 100), slice(0, 1280))
"""The head of the page: the title, what is chosen, the views; no number is in it."""


def pixels(file: Path) -> np.ndarray:
    """Read a picture as (rows, columns, 3) colours."""
    return np.asarray(Image.open(file).convert("RGB")).astype(int)


@pytest.mark.slow
def test_they_are_made_of_any_report_with_their_study(report, tmp_path):
    screenshots.main(report / PAGE, tmp_path)
    for name in NAMES:
        made = pixels(tmp_path / name)
        committed = pixels(ROOT / "docs" / "figures" / name)
        assert made.shape == committed.shape == (700, 1280, 3)
        # Fonts may be rendered a little differently elsewhere, and this report has one view more.
        assert np.mean(np.abs(made - committed)[FIXED].max(axis=2) > 60) < 0.05
    assert (tmp_path / NAMES[0]).read_bytes() != (tmp_path / NAMES[1]).read_bytes()
