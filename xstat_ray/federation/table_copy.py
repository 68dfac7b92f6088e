"""The copy of a party's table that is no file, from the step that reads it first to the last.

The steps of a run may lie days apart, and all must read the same. So a copy stays in the private
folder of the run while the run waits for others, or can be taken up again by the same command; it
goes once the party has emitted its table, and with every error that ends the run.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from xstat_ray.errors import ClusterError, PartyLostError, PendingError
from xstat_ray.federation.domain_run import DomainRun
from xstat_ray.federation.party import FACTS
from xstat_ray.inputs.source import Source
from xstat_ray.inputs.spool import SPOOL, fill, remove
from xstat_ray.model.study import Role

_READING = ("exchange", "emit", "all")
_RESUMABLE = (PendingError, ClusterError, PartyLostError, KeyboardInterrupt)


@contextmanager
def table_files(run: DomainRun, role: Role, source: Source, step: str) -> Iterator[Source]:
    """Copy what is no file of a source, for the steps that read it.

    Args:
        run: the party's part of a run.
        role: whose source it is.
        source: the party's table and lists.
        step: the step that is done, or `all`.

    Yields:
        A source of files alone; of none where the table is not read any more, or not yet.

    Raises:
        InputError: see `fill`.
    """
    folder = run.folder / SPOOL
    if not source.is_outside:
        remove(folder)
        yield source
        return
    emitted = run.folder / FACTS
    try:
        if step in _READING and not emitted.exists():
            yield fill(run.plan.study, role, source, folder)
        else:
            yield replace(source, table=run.folder, exclude=())
    except _RESUMABLE:
        raise
    except BaseException:
        remove(folder)
        raise
    if emitted.exists():
        remove(folder)
