"""What of Ray is not started on one machine; test_ray_session starts one and looks at its processes."""

from __future__ import annotations

import pytest
import ray._private.node
import ray._private.utils

from xstat_ray.runtime.lean_ray import only_what_is_used

OWNERS = {
    "start_monitor": ray._private.node.Node,
    "start_log_monitor": ray._private.node.Node,
    "start_api_server": ray._private.node.Node,
    "get_dashboard_dependency_error": ray._private.utils,
}


def functions() -> dict[str, object]:
    return {name: getattr(owner, name) for name, owner in OWNERS.items()}


@pytest.mark.parametrize("metrics", [False, True])
def test_functions_of_ray_are_replaced_for_a_while(metrics: bool) -> None:
    before = functions()
    with only_what_is_used(metrics=metrics):
        kept = {name for name, function in functions().items() if function is before[name]}
        assert kept == ({"get_dashboard_dependency_error"} if metrics else set())
    assert functions() == before


def test_they_are_put_back_where_ray_does_not_start() -> None:
    before = functions()
    with pytest.raises(ValueError, match="deliberate"), only_what_is_used(metrics=False):
        raise ValueError("deliberate")
    assert functions() == before


def test_another_version_of_ray_starts_as_it_does(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, owner in OWNERS.items():
        monkeypatch.delattr(owner, name)
    with only_what_is_used(metrics=False):
        assert not any(hasattr(owner, name) for name, owner in OWNERS.items())
    assert not any(hasattr(owner, name) for name, owner in OWNERS.items())
