"""The job as one call: two tables in, one private cross-tab out."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from xstat_ray.crypto.kernels.choice import shortfall
from xstat_ray.errors import BudgetError, InputError, PartyLostError, PlanError
from xstat_ray.inputs.frames import SupportsArrow
from xstat_ray.inputs.outside import OutsideTable
from xstat_ray.inputs.source import DEFAULT_LEDGER, Source, check_sources
from xstat_ray.inputs.spool import SPOOL, spooled
from xstat_ray.model.messages import Coefficients
from xstat_ray.model.parties import ONLY, ONLY_ROW
from xstat_ray.model.study import Role, Study
from xstat_ray.planning import pool_view
from xstat_ray.planning.fit import BATCH, fitted, look_at, shorter
from xstat_ray.planning.options import Options, check_noise
from xstat_ray.planning.plan import Plan
from xstat_ray.publication.manifest import make_manifest
from xstat_ray.publication.publish import publish
from xstat_ray.publication.release import Release, check_writable, staging_folder, write
from xstat_ray.publication.workspace import Resumable, Workspace
from xstat_ray.roles.party import Party
from xstat_ray.runtime.driver import Driver
from xstat_ray.runtime.events import Recorded
from xstat_ray.runtime.executor import Executor, R
from xstat_ray.runtime.intake_notice import tell_intake
from xstat_ray.runtime.ledgers import announce, ledgers_of
from xstat_ray.runtime.open import open_executor
from xstat_ray.runtime.progress import Progress
from xstat_ray.util.location import Location, LocationLike

Table = LocationLike | OutsideTable | Source | SupportsArrow
"""A party's table, or where it lies."""


def crosstab(
    study: Study,
    *,
    row: Table | Mapping[str, Table],
    column: Table | Mapping[str, Table],
    out: LocationLike | None = None,
    options: Options | None = None,
    progress: Progress | None = None,
) -> Release:
    """Run a study on two tables and publish the result.

    Args:
        study: what to count; `xstat_ray.load_study` reads one from YAML.
        row: the row party's table (Parquet, Arrow or CSV; a file or a folder, on a disk or in an
            object store), or one that can be read as Arrow, such as a data frame, or a `Source`
            with people to exclude and a budget ledger, by default `.xstat-ray/ledger.sqlite` for
            both. What is no file is copied into one for the time of the run. Where the study names
            several row parties, each one's by its name.
        column: the column party's table, likewise; where the study names several column parties,
            each one's by its name.
        out: folder for the files of the release, on a disk or in an object store; without it
            nothing is kept on disk but the ledger.
        options: how to run; the default runs in this process, without Ray.
        progress: shows what the run reports; by default nothing is shown.

    Returns:
        The release: its statistics, manifest and plan.

    Raises:
        InputError: a table or the output folder is not usable.
        StudyError, PlanError: the study is not usable, or cannot be run safely.
        BudgetError: a data set's budget does not allow the release. Nothing was decrypted.
        ProtocolError, PartyError: a message is not what the protocol allows, or a party failed.
    """
    options = options or Options()
    progress = progress or Progress()
    plan = options.plan(study)
    sources = _sources(study, row, column)
    _announce(plan, sources, options, progress)
    kept = None if out is None else Location.of(out)
    with ExitStack() as stack:
        folder = _folder(kept, stack)
        work = stack.enter_context(Workspace(folder, plan))
        _check_store(kept, work, progress)
        progress = Recorded(progress, folder, hides_sizes=plan.padding is not None)
        sources = _for_run(study, sources, work, progress, stack)
        plan = plan if work.stored else _fitted(plan, sources, options, progress)
        plan, unfinished, coefficients = _count_fitting(plan, sources, work, options, progress)
        release = _release(plan, unfinished, coefficients, kept)
        work.finish()
    return release


def _fitted(
    plan: Plan, sources: Mapping[str, Source], options: Options, progress: Progress
) -> Plan:
    """Cut the periods into batches that fit into memory; see `fit.fitted`.

    With padding the driver may not know how large the tables are, and goes by the bounds.
    """
    if plan.study.row.parties:
        # Each of several row parties looks whether its batches fit.
        return plan
    try:
        look = look_at(plan.study, sources) if plan.padding is None else None
    except InputError:
        # The intake tells better what is wrong with a table.
        return plan
    cut, warning = fitted(plan, options, look)
    if warning is not None:
        progress.warn(warning)
    if cut is not plan:
        progress.note(
            f"The periods are joined in {len(cut.grid.batches):,} batches, as more at a time would "
            "not fit into memory."
        )
    return cut


def _sources(
    study: Study, row: Table | Mapping[str, Table], column: Table | Mapping[str, Table]
) -> dict[str, Source]:
    """Find the tables of all parties, by name, and check that they are there."""
    rows = row if isinstance(row, Mapping) else {ONLY_ROW: row}
    columns = column if isinstance(column, Mapping) else {ONLY: column}
    sources = _of_side("row", [terms.name for terms in study.row_parties], rows)
    sources |= _of_side("column", [terms.name for terms in study.column_parties], columns)
    check_sources(sources)
    return sources


def _of_side(role: Role, names: Sequence[str], tables: Mapping[str, Table]) -> dict[str, Source]:
    """Find the table of every row party, or of every column party, in the order of the study.

    Raises:
        InputError: a party has none, or the study does not name it.
    """
    if set(tables) != set(names):
        raise InputError(
            f"tables are given of {', '.join(tables)}, and the study's {role} parties are "
            f"{', '.join(names)}",
            key=f"data.{role}",
            remedy="Give a mapping with the name and the table of each of them",
        )
    return {name: Source.of(tables[name]) for name in names}


def _release(
    plan: Plan, unfinished: Resumable, coefficients: Coefficients, out: Location | None
) -> Release:
    """Make the release of opened coefficients, and write it where there is a place for it."""
    tables = publish(plan, coefficients)
    path = out.local if out is not None and out.is_local else out
    release = Release(*tables, unfinished.facts, plan.as_dict(), path)
    if out is not None:
        write(release, out)
    return release


def _folder(out: Location | None, stack: ExitStack) -> Path:
    """Return the folder of a disk in which a run works: the release's own, where it is on one."""
    if out is None:
        return Path(stack.enter_context(tempfile.TemporaryDirectory()))
    return out.local if out.is_local else staging_folder(out)


def _check_store(out: Location | None, work: Workspace, progress: Progress) -> None:
    """Check that an object store takes the release, unless a run had begun to put it there."""
    if out is None or out.is_local:
        return
    progress.note(f"The release goes to {out}. What the run keeps for itself is in {work.folder}.")
    if not work.stored:
        check_writable(out)


def _for_run(
    study: Study,
    sources: Mapping[str, Source],
    work: Workspace,
    progress: Progress,
    stack: ExitStack,
) -> dict[str, Source]:
    """Sources of files, with a ledger and a private folder in which this run is resumed."""
    found = {}
    for name, source in sources.items():
        ledger = source.ledger or DEFAULT_LEDGER.absolute()
        kept = replace(source, private=work.private_folder(name), ledger=ledger)
        found[name] = stack.enter_context(_files(study, name, kept, work, progress))
    return found


@contextmanager
def _files(
    study: Study, party: str, source: Source, work: Workspace, progress: Progress
) -> Iterator[Source]:
    """A source of files alone: with copies of what is no file, which are removed at the end.

    Nothing is copied where an unfinished release is resumed, as that reads no table.
    """
    if work.stored and source.is_outside:
        source = replace(source, table=work.folder, exclude=())
    if source.is_outside:
        progress.note(f"The {party} party's table is read into a private copy: {source.table}.")
    with spooled(study, study.role_of(party), source, work.private_folder(party) / SPOOL) as files:
        yield files


def _announce(
    plan: Plan, sources: Mapping[str, Source], options: Options, progress: Progress
) -> None:
    """Show the plan, and warn of what is unsafe about it."""
    announce(plan, ledgers_of(plan.study, sources), progress)
    if (reason := shortfall()) is not None:
        progress.note(f"The kernel {plan.kernel} is used, as ifma cannot run: {reason}.")
    for warning in check_noise(plan.study.privacy, allowed=options.allow_no_noise):
        progress.warn(warning)
    if plan.padding is None:
        progress.warn(pool_view.padding_off(plan.study))


def _count_fitting(
    plan: Plan, sources: dict[str, Source], work: Workspace, options: Options, progress: Progress
) -> tuple[Plan, Resumable, Coefficients]:
    """Count with the longest batches for which the row party has room.

    The driver guesses at rows; the row party's environment knows them, and refuses batches that are
    too long before anything is encrypted. With padding such a refusal is one too many already.
    """
    while True:
        try:
            return plan, *_count(plan, sources, work, options, progress)
        except PlanError as error:
            cut = shorter(plan, options) if error.key == BATCH else None
            if cut is None or plan.padding is not None:
                raise
        plan = cut
        progress.note(
            f"The row party has no room for batches of that length; the run starts again with "
            f"{len(plan.grid.batches):,} batches."
        )


def _count(
    plan: Plan, sources: dict[str, Source], work: Workspace, options: Options, progress: Progress
) -> tuple[Resumable, Coefficients]:
    """Count, and start again where the environment of a party was lost.

    Its secrets are lost with it. Before the noise is stored nothing can be taken over, but nothing
    was drawn or spent either; afterwards the release is finished from what is stored.
    """
    for left in reversed(range(1 + options.cluster.restarts)):
        try:
            return _count_once(plan, sources, work, options, progress)
        except PartyLostError:
            if not left:
                raise
            work.begin_again()
            progress.note(
                "The environment of a party was lost; the run starts again with a new one."
            )
    raise AssertionError


def _count_once(
    plan: Plan, sources: dict[str, Source], work: Workspace, options: Options, progress: Progress
) -> tuple[Resumable, Coefficients]:
    """Run to the coefficients, from an unfinished release if the folder holds one."""
    unfinished = work.resumable()
    with ExitStack() as stack:
        with progress.stage("start", 1) as stage:
            executor = stack.enter_context(open_executor(plan.study, sources, options, progress))
            stage.advance()
        driver = Driver(executor, plan, progress, options.in_flight, options.memory)
        if unfinished is None:
            unfinished = _encrypt_and_count(driver, executor, work, plan, progress)
            # The budget is not yet debited: whoever sees that the rows are not read as they should
            # be can still end the run.
            for role, source in sources.items():
                tell_intake(work.private_folder(role), role, source.warn_above, progress)
        else:
            progress.note(
                "An unfinished release was found; it is finished from its stored ciphertexts."
            )
            for role in executor.parties:
                executor.get(executor.first(role).call(Party.load, work.party(role)))
            driver.fill_replicas()
        try:
            return unfinished, driver.release(unfinished.to_open)
        except BudgetError:
            if not driver.approved:
                # Nothing was debited, so there is nothing to finish.
                work.finish()
            raise


def _encrypt_and_count(
    driver: Driver,
    executor: Executor,
    work: Workspace,
    plan: Plan,
    progress: Progress,
) -> Resumable:
    """De-identify, draw the noise, aggregate and put the masks on.

    Everything that a rerun needs is on disk before this returns. A party whose ledger has no room
    ends the run first.
    """
    _ask(executor, Party.check_budget)
    publics = driver.de_identify({role: work.party(role) for role in executor.parties})
    for role, damaged in _ask(executor, Party.damaged_files).items():
        if damaged:
            progress.warn(
                f"{damaged} damaged files of the {role} party were left out: the counts lack what "
                f"was in them. The party's own record names them ({work.private_folder(role)})."
            )
    # A run that fails after this point shows the tables to the pool again when it is restarted.
    for role in executor.parties:
        executor.get(executor.first(role).call(Party.count_view))
    shown = {} if plan.padding is None else {"shown": work.count_view()}
    driver.draw_noise()
    encrypted = driver.aggregate(publics)
    inputs = _record(executor, work)
    to_open = driver.put_masks(publics, driver.rerandomise(publics, encrypted))
    kernels = {str(role): name for role, name in _ask(executor, Party.kernel).items()}
    kernels = {"driver": plan.kernel} | kernels
    facts = make_manifest(plan, to_open.release, inputs, kernels, progress.seconds)
    facts["view"] |= shown
    work.keep(to_open, facts)
    return Resumable(to_open, facts)


def _ask(executor: Executor, method: Callable[[Party], R]) -> dict[str, R]:
    """Call a method of each party, in the party's first environment."""
    return {role: executor.get(executor.first(role).call(method)) for role in executor.parties}


def _record(executor: Executor, work: Workspace) -> dict[str, str]:
    """Have each party record in its private folder what became of its rows.

    Returns:
        Keyed digest of what each party has read.
    """
    inputs: dict[str, str] = {}
    for role, instances in executor.parties.items():
        reports = executor.get_all([instance.call(Party.report) for instance in instances])
        folder = work.private_folder(role)
        inputs[role] = executor.get(instances[0].call(Party.record, folder, reports))
    return inputs
