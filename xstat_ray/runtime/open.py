"""Opens the executor that a run's options ask for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from xstat_ray.inputs.source import Source, check_sources
from xstat_ray.model.study import Study
from xstat_ray.planning.options import Options
from xstat_ray.runtime.executor import Executor, LocalExecutor
from xstat_ray.runtime.progress import Progress


@contextmanager
def open_executor(
    study: Study, sources: dict[str, Source], options: Options, progress: Progress
) -> Iterator[Executor]:
    """Open environments for these parties and a pool for tasks.

    Args:
        study: what is counted.
        sources: the table of each party that runs here.
        options: how to run.
        progress: what is shown.

    Raises:
        InputError: a table does not exist, or the cluster cannot be used.
    """
    check_sources(sources)
    if options.runtime == "local":
        with LocalExecutor(study, sources) as executor:
            yield executor
        return
    from xstat_ray.runtime.ray_executor import RayExecutor
    from xstat_ray.runtime.ray_session import session

    with (
        session(options.cluster, progress),
        RayExecutor(study, sources, options.replicas, options.cluster, progress) as executor,
    ):
        yield executor
