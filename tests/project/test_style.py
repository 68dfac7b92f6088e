"""One thing a line: a tuple is assigned to a tuple only where the order matters."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from tests.pages import ROOT


def unrelated(source: str) -> Iterator[int]:
    """Lines that assign values to several targets at once and could as well be several lines.

    They could not where a later value reads an earlier target, as in a swap.
    """
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Assign(targets=[ast.Tuple(elts=targets)], value=ast.Tuple(elts=values)):
                if len(targets) == len(values) and not any(
                    ast.unparse(target) in map(ast.unparse, reads(value))
                    for i, target in enumerate(targets)
                    for value in values[i + 1 :]
                ):
                    yield node.lineno


def reads(value: ast.expr) -> Iterator[ast.expr]:
    """The value's expressions, itself among them."""
    return (node for node in ast.walk(value) if isinstance(node, ast.expr))


@pytest.mark.parametrize("folder", ["xstat_ray", "jobs", "tests"])
def test_unrelated_values_are_assigned_on_lines_of_their_own(folder: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in sorted((ROOT / folder).rglob("*.py"))
        for line in unrelated(path.read_text(encoding="utf-8"))
    ]
    assert found == []


def test_an_assignment_whose_order_matters_is_no_such_line() -> None:
    assert list(unrelated("a, b = b, a")) == []
    assert list(unrelated("x[i], x[j] = x[j], x[i]")) == []
    assert list(unrelated("low, high = high, low + high")) == []
    assert list(unrelated("a, b = f()")) == []
    assert list(unrelated("a, *b = 1, 2, 3")) == []
    assert list(unrelated("a, b = 1, 2\nself.x, self.y = x, y")) == [1, 2]
