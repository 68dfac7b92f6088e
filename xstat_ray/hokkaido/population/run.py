"""A release of populations as one call: the operator's tables in, published statistics out."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterable, Mapping
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
    LINES,
    PARTIALS,
    WEIGHTS,
    Work,
    add_noise,
    check_files,
    count_file,
)
from xstat_ray.hokkaido.population.subscribers import Intake, LineTables, Pseudonyms, open_lines
from xstat_ray.hokkaido.population.write import write_release
from xstat_ray.planning.options import DEFAULT_LEDGER, NOISE_OFF, check_noise
from xstat_ray.privacy.ledger import Debit, Ledger
from xstat_ray.publication.output_folder import OutputFolder
from xstat_ray.runtime.events import Recorded
from xstat_ray.runtime.progress import Progress
from xstat_ray.util.files import unwritable, write_whole
from xstat_ray.util.software_digest import software_digest, software_version

InOrder = Callable[[Callable[[Any], None], Iterable[Any]], Iterable[None]]
"""Applies a function to many items: `map`, or tasks."""
_MARKER = "facts.json"


@dataclass(frozen=True)
class Tables:
    """Where the operator's tables lie."""

    presence: Path
    lines: Path
    register: Path
    excluded: tuple[Path, ...] = ()
    """Tables of subscribers who opted out."""

    def check(self) -> None:
        """Refuse paths at which there is nothing.

        Raises:
            InputError: names the key.
        """
        named = {
            "presence": [self.presence],
            "subscribers": [self.lines],
            "register": [self.register],
        }
        for key, paths in (named | {"exclude": list(self.excluded)}).items():
            for path in paths:
                if not path.exists():
                    raise InputError(
                        f"the table of {key} does not exist",
                        file=str(path),
                        remedy=f"Set data.{key}",
                    )


@dataclass(frozen=True)
class Options:
    """How to run, as opposed to what to compute."""

    shards: int = 4
    """Regions to aim for."""
    ledger: Path = DEFAULT_LEDGER
    allow_no_noise: bool = False


@dataclass(frozen=True)
class Published:
    """What a release came to."""

    folder: Path
    manifest: Mapping[str, Any]
    figures: int
    withheld: int


def population(
    declaration: Declaration,
    tables: Tables,
    *,
    out: Path,
    options: Options | None = None,
    in_order: InOrder = map,
    progress: Progress | None = None,
) -> Published:
    """Publish the populations of areas, hour by hour.

    Args:
        declaration: what is published.
        tables: the operator's.
        out: folder of the release.
        options: how to run.
        in_order: runs the tasks; the default runs them here.
        progress: what to show.

    Raises:
        InputError: a table or the folder is not usable (PlanError: the declaration is not).
        BudgetError: the budget does not allow the release. Nothing was published.
    """
    options = options or Options()
    progress = progress or Progress()
    tables.check()
    plan = make_plan(declaration, read_register(tables.register), options.shards)
    progress.planned(plan)
    for warning in check_noise(declaration.privacy, allowed=options.allow_no_noise):
        progress.warn(warning)
    presence = open_presence(tables.presence)
    lines = open_lines(tables.lines)
    with OutputFolder(out, _MARKER, plan.stored_bytes) as folder:
        progress = Recorded(progress, out)
        work = Work(
            folder.unfinished, presence, declaration, plan.register, plan.tables, plan.regions
        )
        if folder.stored:
            progress.note(
                "An unfinished release was found; it is finished from its stored figures."
            )
            facts = _stored(plan, work)
        else:
            try:
                private = _count(plan, work, LineTables(lines, tables.excluded), in_order, progress)
                facts = _facts(plan, progress.seconds)
                _keep(work, out, facts, private)
            except OSError as error:
                raise unwritable(out, error) from None
        try:
            _debit(plan, facts["release"], options.ledger)
        except BudgetError:
            folder.finish()
            raise
        with progress.stage("publish", declaration.days) as stage:
            figures, withheld = write_release(plan, work, facts, out, stage.advance)
        folder.finish()
    return Published(out, facts, figures, withheld)


def _count(
    plan: PopulationPlan, work: Work, tables: LineTables, in_order: InOrder, progress: Progress
) -> dict[str, Any]:
    """All stages up to the stored noisy sums.

    Returns what became of lines and rows, for the operator alone.
    """
    with progress.stage("lines", 1) as stage:
        Pseudonyms.draw_key(work.folder / KEY)
        intake = Intake(
            plan.declaration, plan.register, Pseudonyms(work.folder / KEY, plan.declaration)
        )
        lines = intake.take(tables)
        lines.save(work.folder / LINES)
        np.save(work.folder / WEIGHTS, plan.expansion.weights(lines.classes))
        stage.advance()
    files = range(len(work.presence.files))
    with progress.stage("presence", len(files)) as stage:
        for _ in in_order(partial(count_file, work), files):
            stage.advance()
    rows = check_files(work)
    check_usable(rows, work.presence)
    with progress.stage("noise", len(work.shards)) as stage:
        for _ in in_order(partial(add_noise, work), work.shards):
            stage.advance()
    return {"lines": intake.counts.as_dict(), "rows": rows.as_dict()}


def _keep(work: Work, out: Path, facts: dict[str, Any], private: dict[str, Any]) -> None:
    """Remove exact sums, codes and key, then mark the noise as stored: from here on a rerun replays it."""
    own = out / "parties" / "operator"
    own.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_whole(own / "intake.json", (json.dumps(private, indent=2) + "\n").encode(), mode=0o600)
    for folder in (PARTIALS, LINES):
        shutil.rmtree(work.folder / folder)
    for file in (KEY, WEIGHTS):
        (work.folder / file).unlink()
    write_whole(work.folder / _MARKER, json.dumps(facts).encode(), mode=0o600)


def _stored(plan: PopulationPlan, work: Work) -> dict[str, Any]:
    """The facts of the unfinished release in the folder.

    Raises:
        InputError: it is a release of something else.
    """
    facts: dict[str, Any] = json.loads((work.folder / _MARKER).read_bytes())
    if facts["study_digest"] != plan.digest or facts["regions"] != len(plan.regions):
        problem = "the output folder holds the unfinished release of another population"
        remedy = "Run that one again to finish it, or choose another out="
        raise InputError(problem, file=str(work.folder.parent), remedy=remedy)
    return facts


def _debit(plan: PopulationPlan, release: str, ledger: Path) -> None:
    """One debit for the whole release; a repeat changes nothing."""
    said = plan.declaration
    budget = plan.budget
    if budget.noise == "off":
        return
    terms = (budget.epsilon, budget.delta, budget.rho)
    Ledger(ledger).debit(
        Debit((said.dataset,), release, plan.digest, plan.name, *terms), said.privacy.cap
    )


def _facts(plan: PopulationPlan, seconds: Mapping[str, float]) -> dict[str, Any]:
    """The manifest: how the release came about, in public figures only."""
    said = plan.declaration
    budget = plan.budget
    off = budget.noise == "off"
    return {
        "release": os.urandom(16).hex(),
        "study": plan.name,
        "study_digest": plan.digest,
        "software": {"version": software_version(), "measurement": software_digest().hex()},
        "datasets": {"operator": said.dataset},
        "area": said.area,
        "residence": said.residence,
        "breakdowns": {
            table.layout.breakdown.name: list(table.layout.breakdown.by) for table in plan.tables
        },
        "first_day": said.first_day.isoformat(),
        "days": said.days,
        "bounds": {"hours": said.hours, "weight_cap": str(said.weight_cap), "hour": 1},
        "withheld_below": said.withheld_below,
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
