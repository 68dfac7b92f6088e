"""Publish populations with one call: the operator's tables in, statistics out."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from xstat_ray.errors import BudgetError, InputError
from xstat_ray.hokkaido.population.declaration import Declaration
from xstat_ray.hokkaido.population.plan import PopulationPlan, make_plan
from xstat_ray.hokkaido.population.presence import check_usable, open_presence
from xstat_ray.hokkaido.population.register import read_register
from xstat_ray.hokkaido.population.shards import (
    KEY,
    PARTIALS,
    SUBSCRIBERS,
    WEIGHTS,
    TaskContext,
    add_noise,
    check_files,
    count_file,
)
from xstat_ray.hokkaido.population.subscribers import (
    Intake,
    Pseudonyms,
    SubscriberTables,
    open_subscribers,
)
from xstat_ray.hokkaido.population.write import write_release
from xstat_ray.inputs.source import DEFAULT_LEDGER
from xstat_ray.inputs.table_options import NOTHING_SET, TableOptions
from xstat_ray.planning.options import NOISE_OFF, check_noise
from xstat_ray.privacy.ledger import Debit, Ledger
from xstat_ray.privacy.places import Place
from xstat_ray.publication.output_folder import OutputFolder
from xstat_ray.runtime.events import Recorded
from xstat_ray.runtime.ledgers import announce
from xstat_ray.runtime.ordered import InOrder
from xstat_ray.runtime.progress import Progress
from xstat_ray.util.files import unwritable, write_whole
from xstat_ray.util.location import Location, LocationLike
from xstat_ray.util.software_digest import software_digest, software_version

_MARKER = "facts.json"


@dataclass(frozen=True)
class OperatorTables:
    """Places of the operator's tables."""

    presence: LocationLike
    subscribers: LocationLike
    register: LocationLike
    excluded: tuple[LocationLike, ...] = ()
    """Tables of subscribers who opted out."""
    options: TableOptions = NOTHING_SET
    """How the operator's files are read, where neither they nor their names tell; those of the
    register tell."""
    count_unreadable: bool = False
    """Whether an entry of people who opted out that has no normal form is counted and passed over;
    else it ends the run."""

    def check(self) -> None:
        """Refuse places at which there is nothing.

        Raises:
            InputError: nothing is there; the remedy names the key to set.
        """
        named = {
            "presence": [self.presence],
            "subscribers": [self.subscribers],
            "register": [self.register],
        }
        for key, paths in (named | {"exclude": list(self.excluded)}).items():
            for path in paths:
                if not Location.of(path).exists():
                    raise InputError(
                        f"the table of {key} does not exist",
                        file=str(path),
                        remedy=f"Set data.{key}",
                    )


@dataclass(frozen=True)
class PopulationOptions:
    """Options of a run that do not change the sums."""

    shards: int = 4
    """Number of regions to aim for."""
    ledger: Place = DEFAULT_LEDGER
    allow_no_noise: bool = False


@dataclass(frozen=True)
class PublishedPopulation:
    """A published release of populations."""

    folder: Path
    manifest: Mapping[str, Any]
    rows: int
    """Rows of the statistics."""
    withheld: int
    """Rows that the delivered files leave out."""


def population(
    declaration: Declaration,
    tables: OperatorTables,
    *,
    out: Path,
    options: PopulationOptions | None = None,
    in_order: InOrder = map,
    progress: Progress | None = None,
) -> PublishedPopulation:
    """Publish the populations of areas, hour by hour.

    Args:
        declaration: what is published.
        tables: the operator's tables.
        out: folder of the release.
        options: how to run.
        in_order: runs the tasks; the default runs them in this process.
        progress: what to show.

    Raises:
        PlanError: the declaration cannot be published safely, or within the resources.
        InputError: a table or the folder cannot be used.
        BudgetError: the budget does not allow the release. Nothing was published.
    """
    options = options or PopulationOptions()
    progress = progress or Progress()
    tables.check()
    plan = make_plan(declaration, read_register(tables.register), options.shards)
    _announce(plan, options, progress)
    presence = open_presence(tables.presence, tables.options)
    subscribers = _subscribers(tables)
    with OutputFolder(out, _MARKER, plan.stored_bytes) as folder:
        progress = Recorded(progress, out)
        context = TaskContext(
            folder.unfinished, presence, declaration, plan.register, plan.breakdowns, plan.regions
        )
        if folder.stored:
            progress.note("An unfinished release was found; it is finished from its stored sums.")
            facts = _stored(plan, context)
        else:
            facts = _count_and_store(plan, context, subscribers, in_order, progress)
        try:
            _debit(plan, facts["release"], options.ledger)
        except BudgetError:
            folder.finish()
            raise
        with progress.stage("publish", declaration.days) as stage:
            withheld = write_release(plan, context, facts, out, stage.advance)
        folder.finish()
    return PublishedPopulation(out, facts, plan.published, withheld)


def _subscribers(tables: OperatorTables) -> SubscriberTables:
    """Open the table of subscribers, with the lists of people to leave out."""
    return SubscriberTables(
        open_subscribers(tables.subscribers, tables.options),
        tables.excluded,
        tables.options,
        tables.count_unreadable,
    )


def _count_and_store(
    plan: PopulationPlan,
    context: TaskContext,
    subscribers: SubscriberTables,
    in_order: InOrder,
    progress: Recorded,
) -> dict[str, Any]:
    """Count, and store the noisy sums, with the facts from which the release is finished."""
    try:
        private = _count(plan, context, subscribers, in_order, progress)
        facts = _facts(plan, progress.seconds)
        store_noise(context, progress.folder, facts, private)
    except OSError as error:
        raise unwritable(progress.folder, error) from None
    return facts


def _announce(plan: PopulationPlan, options: PopulationOptions, progress: Progress) -> None:
    """Show the plan and the ledger, and warn of what is unsafe about it."""
    spends = plan.budget.noise != "off"
    ledgers = [(plan.declaration.dataset, options.ledger.absolute())] if spends else []
    announce(plan, ledgers, progress)
    for warning in check_noise(plan.declaration.privacy, allowed=options.allow_no_noise):
        progress.warn(warning)


def _count(
    plan: PopulationPlan,
    context: TaskContext,
    tables: SubscriberTables,
    in_order: InOrder,
    progress: Progress,
) -> dict[str, Any]:
    """Run all stages up to the stored noisy sums.

    Returns:
        What became of subscribers and rows, for the operator alone.
    """
    with progress.stage("lines", 1) as stage:
        Pseudonyms.draw_key(context.folder / KEY)
        intake = Intake(
            plan.declaration, plan.register, Pseudonyms(context.folder / KEY, plan.declaration)
        )
        subscribers = intake.take(tables)
        subscribers.save(context.folder / SUBSCRIBERS)
        np.save(context.folder / WEIGHTS, plan.expansion.weights(subscribers.classes))
        stage.advance()
    files = range(len(context.presence.files))
    with progress.stage("presence", len(files)) as stage:
        for _ in in_order(partial(count_file, context), files):
            stage.advance()
    rows = check_files(context)
    check_usable(rows, context.presence)
    with progress.stage("noise", len(context.region_days)) as stage:
        for _ in in_order(partial(add_noise, context), context.region_days):
            stage.advance()
    return {"lines": intake.counts.as_dict(), "rows": rows.as_dict()}


def store_noise(
    context: TaskContext, out: Path, facts: dict[str, Any], private: dict[str, Any]
) -> None:
    """Remove exact sums, codes and key, then mark the noise as stored.

    A rerun replays it from here on.
    """
    operator = out / "parties" / "operator"
    operator.mkdir(mode=0o700, parents=True, exist_ok=True)
    counts = (json.dumps(private, indent=2) + "\n").encode()
    write_whole(operator / "intake.json", counts, mode=0o600)
    for folder in (PARTIALS, SUBSCRIBERS):
        shutil.rmtree(context.folder / folder)
    for file in (KEY, WEIGHTS):
        (context.folder / file).unlink()
    write_whole(context.folder / _MARKER, json.dumps(facts).encode(), mode=0o600)


def _stored(plan: PopulationPlan, context: TaskContext) -> dict[str, Any]:
    """Read the facts of the unfinished release in the folder.

    Raises:
        InputError: the folder holds a release of something else.
    """
    facts: dict[str, Any] = json.loads((context.folder / _MARKER).read_bytes())
    if facts["study_digest"] != plan.digest or facts["regions"] != len(plan.regions):
        problem = "the output folder holds the unfinished release of another population"
        remedy = "Run that one again to finish it, or choose another out="
        raise InputError(problem, file=str(context.folder.parent), remedy=remedy)
    return facts


def _debit(plan: PopulationPlan, release: str, ledger: Place) -> None:
    """Debit the whole release once; a repeat changes nothing."""
    declared = plan.declaration
    budget = plan.budget
    if budget.noise == "off":
        return
    terms = (budget.epsilon, budget.delta, budget.rho)
    debit = Debit(declared.dataset, release, plan.digest, plan.name, *terms, noise=budget.known)
    Ledger(ledger).debit(debit, declared.privacy.cap)


def _facts(plan: PopulationPlan, seconds: Mapping[str, float]) -> dict[str, Any]:
    """Make the manifest: how the release came about, in public values only."""
    declared = plan.declaration
    budget = plan.budget
    off = budget.noise == "off"
    return {
        "release": os.urandom(16).hex(),
        "study": plan.name,
        "study_digest": plan.digest,
        "software": {"version": software_version(), "measurement": software_digest().hex()},
        "datasets": {"operator": declared.dataset},
        "area": declared.area,
        "residence": declared.residence,
        "breakdowns": {
            made.layout.breakdown.name: list(made.layout.breakdown.by) for made in plan.breakdowns
        },
        "first_day": declared.first_day.isoformat(),
        "days": declared.days,
        "bounds": {"hours": declared.hours, "weight_cap": str(declared.weight_cap), "hour": 1},
        "withheld_below": declared.withheld_below,
        "mechanism": {"noise": budget.noise, "breakdowns": plan.as_dict()["breakdowns"]},
        "spent": {
            "epsilon": "0" if off else str(budget.epsilon),
            "delta": "0" if off else str(budget.delta),
            **({"rho": str(budget.rho)} if budget.rho else {}),
        },
        "noise_free": off,
        **({"warning": NOISE_OFF} if off else {}),
        "regions": len(plan.regions),
        "seconds": dict(seconds),
    }
