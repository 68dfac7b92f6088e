"""The layers of the package: no module imports from a layer above its own or in a circle."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

from tests.pages import ROOT, text_of

LAYERS = (
    "errors", "util", "geo", "model", "crypto", "privacy", "noise", "inputs", "roles", "planning", "publication",
    "runtime", "joint_opening", "protocol", "job", "federation", "cli", "hokkaido", "benchmarks",
)  # fmt: skip
"""The lowest first; the `__init__` of the whole package is above them all."""


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


@cache
def modules() -> dict[str, set[str]]:
    """What every module imports."""
    paths = sorted((ROOT / "xstat_ray").rglob("*.py"))
    names = {
        path: ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in paths
    }
    return {name: set(imports(path)) for path, name in names.items() if name != "xstat_ray"}


def test_no_module_imports_from_a_layer_above_its_own() -> None:
    found = modules()
    assert {name.split(".")[1] for name in found} == set(LAYERS)
    layer = {name: LAYERS.index(name.split(".")[1]) for name in found}
    upward = [
        (name, other)
        for name, others in found.items()
        for other in others
        if layer[other] > layer[name]
    ]
    assert upward == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    TopologicalSorter(modules()).prepare()


def test_the_top_of_the_package_is_small() -> None:
    assert len(list((ROOT / "xstat_ray").glob("*.py"))) <= 5


def test_the_map_of_the_code_shows_the_layers_in_their_order() -> None:
    packages = re.findall(r"^\| `xstat_ray/(\w+)(?:/|\.py)` \|", text_of("CONTRIBUTING.md"), re.M)
    assert tuple(packages) == LAYERS


LINES = 350
"""Of a file, at most."""
BODY = 50
"""Lines of code of a function, at most; nine in ten have no more than `MOST`."""
MOST = 20


def sources() -> list[Path]:
    """Files of the package and of its jobs."""
    return sorted(path for name in ("xstat_ray", "jobs") for path in (ROOT / name).rglob("*.py"))


def bodies(path: Path) -> Iterator[tuple[int, str]]:
    """Lines of code of every function: without its docstring, comments and empty lines; and where it begins."""
    text = path.read_text(encoding="utf-8")
    lines = [line.strip() for line in text.splitlines()]
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[ast.get_docstring(node) is not None :]
            span = lines[body[0].lineno - 1 : body[-1].end_lineno] if body else []
            code = [line for line in span if line and not line.startswith("#")]
            yield len(code), f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"


def test_no_file_is_long() -> None:
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in sources()}
    assert {path: lines for path, lines in lengths.items() if lines > LINES} == {}


def test_functions_are_short() -> None:
    found = sorted(body for path in sources() for body in bodies(path))
    assert [body for body in found if body[0] > BODY] == []
    assert found[int(0.9 * len(found))][0] <= MOST
