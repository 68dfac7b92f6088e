"""The executor that a run's options ask for is opened, and only where the tables are there."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.case import Case, study
from xstat_ray.errors import InputError
from xstat_ray.inputs.source import Source
from xstat_ray.model.study import Role
from xstat_ray.planning.cluster import Cluster
from xstat_ray.planning.options import Options
from xstat_ray.runtime.executor import LocalExecutor
from xstat_ray.runtime.open import open_executor
from xstat_ray.runtime.progress import Progress


@pytest.fixture
def sources(tmp_path: Path) -> dict[Role, Source]:
    tables = Case(tmp_path).tables
    return {"row": Source(tables["row"]), "column": Source(tables["column"])}


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What would be opened on Ray, in order, and closed."""
    events = list[tuple[Any, ...]]()

    def recorded(kind: str) -> Any:
        @contextmanager
        def manager(*arguments: Any) -> Any:
            events.append((kind, *arguments))
            yield kind
            events.append((f"{kind} closed",))

        return manager

    modules = {"ray_executor": "RayExecutor", "ray_session": "session"}
    for name, attribute in modules.items():
        module = ModuleType(name)
        setattr(module, attribute, recorded(attribute))
        monkeypatch.setitem(sys.modules, f"xstat_ray.runtime.{name}", module)
    return events


def test_in_this_process_nothing_of_ray_is_opened(
    sources: dict[Role, Source], opened: list[tuple[Any, ...]]
) -> None:
    with open_executor(study(), sources, Options(runtime="local"), Progress()) as executor:
        assert isinstance(executor, LocalExecutor)
        assert executor.parties.keys() == sources.keys()
    assert opened == []


def test_on_ray_the_session_is_opened_first_and_closed_last(
    sources: dict[Role, Source], opened: list[tuple[Any, ...]]
) -> None:
    progress = Progress()
    cluster = Cluster(cpus=2)
    options = Options(runtime="ray", replicas={"row": 1, "column": 3}, cluster=cluster)
    small = study()
    with open_executor(small, sources, options, progress) as executor:
        assert executor == "RayExecutor"
    assert opened == [
        ("session", cluster, progress),
        ("RayExecutor", small, sources, {"row": 1, "column": 3}, cluster, progress),
        ("RayExecutor closed",),
        ("session closed",),
    ]


@pytest.mark.parametrize("runtime", ["local", "ray"])
@pytest.mark.parametrize("role", ["row", "column"])
def test_a_missing_table_is_refused_before_anything_is_opened(
    sources: dict[Role, Source], opened: list[tuple[Any, ...]], role: Role, runtime: Any
) -> None:
    Path(sources[role].table).unlink()
    with (
        pytest.raises(InputError, match=f"the {role} party's table does not exist"),
        open_executor(study(), sources, Options(runtime=runtime), Progress()),
    ):
        pytest.fail("it was opened")
    assert opened == []


def test_without_parties_there_is_a_pool_alone() -> None:
    with open_executor(study(), {}, Options(runtime="local"), Progress()) as executor:
        assert not executor.parties
        assert executor.get(executor.submit(len, b"abc")) == 3
