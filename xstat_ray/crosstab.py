"""The job as one call: two tables in, one private cross-tab out."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from xstat_ray.crypto.kernels.choice import shortfall
from xstat_ray.errors import BudgetError, InputError, PartyLostError, PlanError
from xstat_ray.model.messages import Coefficients
from xstat_ray.model.study import Privacy, Study
from xstat_ray.planning import pool_view
from xstat_ray.planning.batching import Batch
from xstat_ray.planning.cluster import Cluster
from xstat_ray.planning.plan import Plan, make_plan
from xstat_ray.publication.publish import publish
from xstat_ray.publication.release import Release, write
from xstat_ray.publication.workspace import Resumable, Workspace
from xstat_ray.roles.party import Role
from xstat_ray.runtime.driver import WINDOW, Driver
from xstat_ray.runtime.events import Recorded
from xstat_ray.runtime.executor import ROLES, Executor, LocalExecutor, Source
from xstat_ray.runtime.progress import Progress
from xstat_ray.util.software_digest import measurement, software_version

DEFAULT_LEDGER = Path(".xstat-ray/ledger.sqlite")
NOISE_OFF = (
    "NOISE IS OFF: the output holds exact counts and is NOT differentially private. For tests only."
)


@dataclass(frozen=True)
class Options:
    """How to run, as opposed to what to compute: none of this changes the counts."""

    key_bits: int = 3072
    """Size of the Paillier modulus: 2048, 3072 or 4096."""
    slot_bits: int | None = None
    """Bits of a slot; None computes them from the bounds."""
    constant_time: bool = False
    """Encrypt and decrypt without memory addresses that depend on secrets, at a third of the
    speed."""
    shards: int = 4
    """Units of join work to aim for."""
    batch: Batch = "auto"
    """Length of a batch of periods."""
    runtime: Literal["ray", "local"] = "local"
    """`ray` runs parties as actors and joins as tasks; `local` runs everything in this process."""
    replicas: dict[Role, int] = field(default_factory=lambda: {"row": 1, "column": 2})
    """Instances of each party (ray only)."""
    window: int = WINDOW
    """Shards in flight."""
    cluster: Cluster = field(default_factory=Cluster)
    """The Ray cluster (ray only)."""
    ledger: Path = DEFAULT_LEDGER
    """The budget file."""
    allow_no_noise: bool = False
    """Must be set for a study whose noise is off."""

    def plan(self, study: Study) -> Plan:
        """The plan of a study that is run so.

        Raises:
            PlanError: it cannot be run safely, or within the resources.
        """
        return make_plan(
            study,
            key_bits=self.key_bits,
            shards=self.shards,
            slot_bits=self.slot_bits,
            constant_time=self.constant_time,
            batch=self.batch,
        )


def crosstab(
    study: Study,
    *,
    row: Path | str | Source,
    column: Path | str | Source,
    out: Path | str | None = None,
    options: Options | None = None,
    progress: Progress | None = None,
) -> Release:
    """Run a study on two tables and publish the result.

    Args:
        study: what to count; `xstat_ray.load_study` reads one from YAML.
        row: the row party's table (Parquet, Arrow or CSV; a file or a folder), or a `Source` with
            people to exclude.
        column: the column party's table.
        out: folder for the files of the release; without it nothing is kept on disk but the ledger.
        options: how to run; the default runs in this process, without Ray.
        progress: what to show; nothing by default.

    Returns:
        The release: statistics, manifest and plan.

    Raises:
        InputError: a table or the output folder is not usable (StudyError, PlanError: the study is
            not).
        BudgetError: a data set's budget does not allow the release. Nothing was decrypted.
        ProtocolError, PartyError: a message was not what it should be, or a party failed.
    """
    options = options or Options()
    progress = progress or Progress()
    plan = options.plan(study)
    progress.planned(plan)
    if (reason := shortfall()) is not None:
        progress.note(f"The kernel {plan.kernel} is used, as ifma cannot run: {reason}.")
    check_noise(study.privacy, options.allow_no_noise, progress)
    if plan.padding is None:
        progress.warn(pool_view.PADDING_OFF)
    sources: dict[Role, Source] = {"row": _source(row), "column": _source(column)}
    with ExitStack() as stack:
        folder = (
            Path(out)
            if out is not None
            else Path(stack.enter_context(tempfile.TemporaryDirectory()))
        )
        work = stack.enter_context(Workspace(folder, plan))
        progress = Recorded(progress, folder)
        sources = {
            role: replace(source, private=work.own(role)) for role, source in sources.items()
        }
        unfinished, coefficients = _count(plan, sources, work, options, progress)
        tables = publish(plan, coefficients)
        release = Release(*tables, unfinished.facts, plan.as_dict(), folder if out else None)
        if out is not None:
            write(release, folder)
        work.finish()
    return release


def _count(
    plan: Plan, sources: dict[Role, Source], work: Workspace, options: Options, progress: Progress
) -> tuple[Resumable, Coefficients]:
    """All that needs an executor; it starts again where the environment of a party was lost.

    That environment's secrets went with it, so before the noise is stored nothing can be taken
    over, and nothing was drawn or spent either; afterwards the release is finished from what is
    stored.
    """
    for left in reversed(range(1 + options.cluster.restarts)):
        try:
            return _count_once(plan, sources, work, options, progress)
        except PartyLostError:
            if not left:
                raise
            progress.note(
                "The environment of a party was lost; the run starts again with a new one."
            )
    raise AssertionError


def _count_once(
    plan: Plan, sources: dict[Role, Source], work: Workspace, options: Options, progress: Progress
) -> tuple[Resumable, Coefficients]:
    """Up to the noisy counts, from an unfinished release if the folder holds one."""
    unfinished = work.resumable()
    with ExitStack() as stack:
        with progress.stage("start", 1) as stage:
            executor = stack.enter_context(open_executor(plan.study, sources, options, progress))
            stage.advance()
        driver = Driver(executor, plan, progress, options.window)
        if unfinished is None:
            unfinished = _encrypt_and_count(
                driver, executor, work, plan, progress, ledger=options.ledger.absolute()
            )
        else:
            progress.note(
                "An unfinished release was found; it is finished from its stored ciphertexts."
            )
            for role, replicas in executor.parties.items():
                executor.get_all([one.call("load", work.party(role)) for one in replicas])
        try:
            return unfinished, driver.release(unfinished.noisy, options.ledger.absolute())
        except BudgetError:
            work.finish()
            raise


def check_noise(privacy: Privacy, allowed: bool, progress: Progress) -> None:
    """Warn of a release without noise, which must have been allowed.

    Raises:
        PlanError: it was not.
    """
    if privacy.noise != "off":
        return
    if not allowed:
        raise PlanError(
            "privacy.noise=off publishes exact counts",
            key="privacy.noise",
            remedy="It is for tests only, and needs unsafe.allow_no_noise=true beside it",
        )
    progress.warn(NOISE_OFF)


def _source(value: Path | str | Source) -> Source:
    source = value if isinstance(value, Source) else Source(value)
    return replace(
        source,
        table=Path(source.table).absolute(),
        exclude=tuple(Path(path).absolute() for path in source.excludes),
    )


def check_sources(sources: Mapping[Role, Source]) -> None:
    """Whether the tables are there.

    Raises:
        InputError: one is not.
    """
    for role, source in sources.items():
        named = [
            ("path", "table", source.table),
            *(("exclude", "opt-out table", path) for path in source.excludes),
        ]
        for key, what, path in named:
            if not Path(path).exists():
                raise InputError(
                    f"the {role} party's {what} does not exist",
                    file=str(path),
                    remedy=f"Set data.{role}.{key}",
                )


@contextmanager
def open_executor(
    study: Study, sources: dict[Role, Source], options: Options, progress: Progress
) -> Iterator[Executor]:
    """Environments for these parties and a pool for tasks; the tables must be there.

    Raises:
        InputError: a table is not.
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


def _encrypt_and_count(
    driver: Driver,
    executor: Executor,
    work: Workspace,
    plan: Plan,
    progress: Progress,
    *,
    ledger: Path,
) -> Resumable:
    """Stages 1 and 2 and the noise.

    Everything that a rerun needs is on disk before this returns.
    """
    resume = work.takes_up_exchange()
    if resume:
        progress.note("An unfinished ID exchange was found; only people who are new are exchanged.")
    public = driver.de_identify({role: work.party(role) for role in executor.parties}, resume)
    for role in executor.parties:
        if damaged := executor.get(executor.party(role).call("damaged_files")):
            progress.warn(
                f"{damaged} damaged files of the {role} party were left out: the counts lack what was in them. The "
                f"party's own record names them ({work.own(role)})."
            )
    inputs = {
        role: executor.get(executor.party(role).call("input_digest")) for role in executor.parties
    }
    # A run that fails behind this line and is started again shows the tables once more.
    executor.get(executor.party("column").call("count_view", ledger, secrets.token_hex(16)))
    shown = {} if plan.padding is None else {"shown": work.count_view()}
    encrypted = driver.aggregate(public)
    for role, every in executor.parties.items():
        reports = executor.get_all(
            [one.call("report") for one in every[: None if ROLES[role].divided else 1]]
        )
        executor.get(executor.party(role).call("record", work.own(role), reports))
    noisy = driver.add_noise(public, encrypted)
    kernels: dict[str, str] = {
        role: executor.get(executor.party(role).call("kernel")) for role in executor.parties
    }
    facts = release_facts(
        plan, noisy.release, inputs, {"driver": plan.kernel, **kernels}, progress.seconds
    )
    facts["view"] |= shown
    work.keep(noisy, facts)
    return Resumable(noisy, facts)


def release_facts(
    plan: Plan,
    release: str,
    inputs: dict[Role, str],
    kernels: dict[str, str],
    seconds: dict[str, float],
) -> dict[str, Any]:
    """The manifest: how the release came about, in public figures only."""
    study = plan.study
    mechanism = plan.mechanism
    off = mechanism.noise == "off"
    return {
        "release": release,
        "study": study.name,
        "study_digest": study.digest.hex(),
        "software": {"version": software_version(), "measurement": measurement().hex()},
        "inputs_hmac_sha256": inputs,
        "datasets": {"row": study.row.dataset, "column": study.column.dataset},
        "bounds": {
            "rows": study.bounds.rows,
            "boardings": study.bounds.boardings,
            "window_periods": study.window_periods,
            "persons": study.bounds.persons,
        },
        "mechanism": {
            "name": plan.design.kind,
            "noise": mechanism.noise,
            "levels": {
                m.name: {"share": str(m.share), "scale": m.mechanism.scale}
                for m in plan.design.levels
            },
        },
        "spent": {
            "epsilon": "0" if off else str(mechanism.epsilon),
            "delta": "0" if off else str(mechanism.delta),
            **({"rho": str(mechanism.rho)} if mechanism.rho else {}),
        },
        "view": pool_view.as_dict(study, plan.padding),
        "noise_free": off,
        **({"warning": NOISE_OFF} if off else {}),
        "key_bits": plan.key_bits,
        "kernels": kernels,
        "constant_time": plan.constant_time,
        "shards": len(plan.grid.shards),
        "seconds": dict(seconds),
    }
