"""Colours, settings and files that all figures share; needs matplotlib."""

from __future__ import annotations

import importlib
import io
from collections.abc import Callable, Mapping
from typing import Any

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7")
"""Colours of Okabe and Ito, which colour-blind people can tell apart."""
_STYLE = {
    "svg.hashsalt": "xstat-ray",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
_KINDS: dict[str, dict[str, Any]] = {
    "png": {"dpi": 200},
    "svg": {"metadata": {"Date": None, "Creator": None}},
}
Draw = Callable[[Any], Any]
"""Function from matplotlib's class of figures to a figure."""


def figure_files(drawings: Mapping[str, Draw]) -> dict[str, bytes]:
    """Render drawings as <name>.png (200 dpi) and <name>.svg.

    Args:
        drawings: functions that draw a figure, by its name.

    Returns:
        Contents by name of the file; equal figures give equal bytes.

    Raises:
        ImportError: matplotlib is not installed.
    """
    matplotlib = importlib.import_module("matplotlib")
    new_figure = importlib.import_module("matplotlib.figure").Figure
    files = {}
    with matplotlib.rc_context(_STYLE):
        for name, draw in drawings.items():
            figure = draw(new_figure)
            for kind, extra in _KINDS.items():
                content = io.BytesIO()
                figure.savefig(content, format=kind, **extra)
                files[f"{name}.{kind}"] = content.getvalue()
    return files
