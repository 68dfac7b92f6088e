"""Puts a leak in the place of what it replaces, wherever the package uses it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest


def replace_everywhere(
    patch: pytest.MonkeyPatch, original: Callable[..., Any], leak: Callable[..., Any]
) -> None:
    """Replace a function in every module of the package that has it; one must."""
    modules = [module for name, module in list(sys.modules.items()) if name.startswith("xstat_ray")]
    found = [
        (module, name)
        for module in modules
        for name, value in list(vars(module).items())
        if value is original
    ]
    assert found
    for module, name in found:
        patch.setattr(module, name, leak)
