"""Starts a cluster on this machine without the processes of Ray that nothing here uses.

`ray.init` starts the autoscaler of a cluster of several machines, what forwards logs, and the
server of the dashboard, even where it is told to leave these out, and waits for the last; the
node's agent then loads what serves metrics. Each is an interpreter that imports Ray, and on two
cores they take a third of the start. Ray has no setting for that, so what starts them is replaced
meanwhile: where a version of Ray has other names for it, all of them are started as before.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import ray._private.node
import ray._private.utils

_NODE = ray._private.node.Node
_UTILS = ray._private.utils


@contextmanager
def only_what_is_used(*, metrics: bool) -> Iterator[None]:
    """Leave out, for the calls of `ray.init` in this block, what is not used.

    Args:
        metrics: whether Ray's endpoints for Prometheus are used.
    """
    with ExitStack() as stack:
        for name in ("start_monitor", "start_log_monitor"):
            stack.enter_context(_replaced(_NODE, name, _start_nothing))
        stack.enter_context(_replaced(_NODE, "start_api_server", _start_no_server))
        if not metrics:
            stack.enter_context(
                _replaced(_UTILS, "get_dashboard_dependency_error", _tell_there_is_none)
            )
        yield


@contextmanager
def _replaced(owner: Any, name: str, function: Any) -> Iterator[None]:
    """Put a function in the place of another one, if that is there."""
    before = getattr(owner, name, None)
    if before is None:
        yield
        return
    setattr(owner, name, function)
    try:
        yield
    finally:
        setattr(owner, name, before)


def _start_nothing(_: Any) -> None:
    pass


def _start_no_server(node: Any, **_: Any) -> None:
    # What Ray notes where the server has no dashboard.
    node._webui_url = ""


def _tell_there_is_none() -> ImportError:
    """Answer as in an installation without the packages of the dashboard, which needs none."""
    return ImportError("the dashboard is not used")
