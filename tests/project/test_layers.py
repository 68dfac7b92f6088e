"""The floors of the house: nothing imports from a floor above its own, and nothing goes round in a circle."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

from tests.pages import ROOT, text_of

FLOORS = (
    "errors", "util", "geo", "model", "crypto", "privacy", "inputs", "roles", "planning", "publication", "runtime",
    "protocol", "crosstab", "federation", "cli", "hokkaido", "benchmarks",
)  # fmt: skip
"""From the ground up; the package's own `__init__` stands on the crosstab."""


def imports(path: Path) -> Iterator[str]:
    """The modules of the package that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "xstat_ray":
            known = ROOT / str(node.module).replace(".", "/")
            inside = [
                n.name
                for n in node.names
                if (known / f"{n.name}.py").exists() or (known / n.name).is_dir()
            ]
            yield from [f"{node.module}.{name}" for name in inside] or [str(node.module)]
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names if name.name.startswith("xstat_ray."))


def modules() -> dict[str, set[str]]:
    """What every module imports."""
    paths = sorted((ROOT / "xstat_ray").rglob("*.py"))
    names = {
        path: ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in paths
    }
    return {name: set(imports(path)) for path, name in names.items() if name != "xstat_ray"}


def test_no_module_imports_from_a_floor_above_its_own() -> None:
    found = modules()
    assert {name.split(".")[1] for name in found} == set(FLOORS)
    floor = {name: FLOORS.index(name.split(".")[1]) for name in found}
    upward = [
        (name, other)
        for name, others in found.items()
        for other in others
        if floor[other] > floor[name]
    ]
    assert upward == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    TopologicalSorter(modules()).prepare()


def test_the_top_of_the_package_is_small() -> None:
    assert len(list((ROOT / "xstat_ray").glob("*.py"))) <= 5


def test_the_map_of_the_code_shows_the_floors_in_their_order() -> None:
    rooms = re.findall(r"^\| `xstat_ray/(\w+)(?:/|\.py)` \|", text_of("CONTRIBUTING.md"), re.M)
    assert tuple(rooms) == FLOORS
