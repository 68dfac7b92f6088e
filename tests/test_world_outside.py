"""A made-up country in lakes, databases and a bucket: counted exactly, wherever and however it runs.

That is on one machine, on two nodes of a Ray cluster and by three domains; killed and resumed; and
no credential is in anything that a run makes or says.
"""

from __future__ import annotations

import os
import pickle
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from tests import postgres as postgresql
from tests.case import KEY_BITS, use_key
from tests.federation.canaries import encodings, search
from tests.federation.domains import Domains
from tests.federation.test_laptop_world import laptop
from tests.jobs.command import ROOT, run
from tests.killing import child, clean_server
from tests.object_store import CANARY, ENVIRONMENT, Bucket, Server
from tests.outside_world import KINDS, PASSWORD, Country, Stores, small_world
from tests.runtime import memory
from tests.sizes import slow, thorough
from xstat_ray import DatabaseTable, Options, Source, crosstab
from xstat_ray.crypto import oprf
from xstat_ray.crypto.keygen import generate
from xstat_ray.crypto.paillier import PrivateKey
from xstat_ray.errors import PendingError
from xstat_ray.federation.mailbox import Mailbox
from xstat_ray.inputs import stream_copy, tables
from xstat_ray.inputs.spool import SPOOL
from xstat_ray.planning.cluster import Cluster
from xstat_ray.publication.release import read
from xstat_ray.runtime.driver import Driver

SCALES = {"small": small_world, "laptop": laptop}
SHARDS = 4
DEATHS: Mapping[str, tuple[Any, str, int]] = {
    "delta": (stream_copy, "_write", 2),
    "iceberg": (tables, "_convert", 4),
    "postgresql": (stream_copy, "_write", 2),
    "sqlite": (Driver, "release", 1),
    "s3": (tables, "_convert", 3),
}
"""Function during which call of whose a run dies: a copy is written, read, or the noise stored."""
NEEDLES = {
    name: needle for value in (PASSWORD, CANARY) for name, needle in encodings(value, value).items()
}


@pytest.fixture(scope="module")
def credentials() -> Iterator[dict[str, str]]:
    """Variables of the environment, for this process and its children."""
    values = {**ENVIRONMENT, "PGPASSWORD": PASSWORD, "PGPASSFILE": "/none"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in values.items():
            patch.setenv(name, value)
        for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_ENDPOINT_URL"):
            patch.delenv(name, raising=False)
        yield values


@pytest.fixture(scope="module")
def made(
    request: pytest.FixtureRequest,
    credentials: dict[str, str],
    s3_server: Server,
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[str], tuple[Country, Stores]]:
    """Makes a country of a scale, and its stores, once."""
    found = dict[str, tuple[Country, Stores]]()
    postgres = request.getfixturevalue("postgres") if postgresql.programs() else None

    def make(scale: str) -> tuple[Country, Stores]:
        if scale not in found:
            folder = tmp_path_factory.mktemp(scale)
            country = Country(SCALES[scale](), folder / "made")
            stores = Stores(country, folder, Bucket(s3_server, f"world-{scale}"), postgres)
            found[scale] = country, stores
        return found[scale]

    return make


@pytest.fixture(scope="module")
def key() -> PrivateKey:
    return generate(KEY_BITS)


@pytest.fixture(scope="module")
def server() -> Any:
    return clean_server(__name__)


class Case:
    """A country, the tables of its parties, each of a kind, and a folder to work in."""

    def __init__(
        self,
        folder: Path,
        made: Callable[[str], tuple[Country, Stores]],
        scale: str,
        row: str,
        column: str = "",
    ) -> None:
        if "postgresql" in (row, column) and not postgresql.programs():
            pytest.skip(postgresql.MISSING)
        self.folder = folder
        self.out = folder / "out"
        self.country, stores = made(scale)
        self.sources = {
            "row": stores.source(row, "row", folder / "row.sqlite"),
            "column": stores.source(column or row, "column", folder / "column.sqlite"),
        }

    def call(self, **options: Any) -> dict[str, Any]:
        """Arguments of `crosstab`."""
        chosen = Options(key_bits=KEY_BITS, shards=SHARDS, allow_no_noise=True, **options)
        return {**self.sources, "out": self.out, "options": chosen}

    def check(self, *folders: Path) -> None:
        """The counts are exact, no copy is left, and no credential is anywhere."""
        assert sum(self.country.expected) > 200
        assert read(self.out).statistics["noisy"].to_pylist() == self.country.expected
        assert [path for path in self.folder.rglob("*") if SPOOL in path.parts] == []
        for folder in (self.folder, *folders):
            assert search(NEEDLES, memory.files(folder)) == set()


def cases(kinds: Mapping[str, str], short: tuple[str, ...] = ("postgresql", "s3")) -> list[Any]:
    """Each kind of the row party's tables with one of the column party's, small and large."""
    pairs = [(row, column) for row, column in kinds.items()]
    return [
        *(pytest.param("small", *pair, marks=thorough) for pair in pairs if pair[0] in short),
        *(pytest.param("laptop", *pair, marks=slow) for pair in pairs),
    ]


def die_at(owner: Any, name: str, count: int) -> None:
    """Have SIGKILL end this process in a call of a function."""
    function = getattr(owner, name)
    calls = []

    def called(*arguments: Any, **named: Any) -> Any:
        calls.append(name)
        if len(calls) == count:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **named)

    setattr(owner, name, called)


def begin(credentials: dict[str, str], key: bytes, death: tuple[Any, str, int] | None) -> None:
    """Make this new process like that of the tests, and one that dies."""
    os.environ.update(credentials)
    use_key(PrivateKey.from_bytes(key))
    oprf.width = lambda *_: 64
    if death is not None:
        die_at(*death)


def run_and_die(
    credentials: dict[str, str], key: bytes, kind: str, study: Any, call: Any, report: Any
) -> None:
    begin(credentials, key, DEATHS[kind])
    crosstab(study, **call)


@pytest.mark.parametrize(("scale", "row", "column"), cases(dict.fromkeys(KINDS, "")))
def test_killed_on_one_machine_and_resumed(
    scale, row, column, made, key, server, credentials, tmp_path, monkeypatch
):
    """Both parties have tables of one kind."""
    case = Case(tmp_path, made, scale, row, column)
    use_key(key, monkeypatch.setattr)
    monkeypatch.chdir(tmp_path)
    exported = key.export_bytes()
    study = case.country.study
    status, _ = child(server, run_and_die, credentials, exported, row, study, case.call())
    assert status == -signal.SIGKILL
    crosstab(study, **case.call())
    case.check()


def emit_and_die(
    credentials: dict[str, str], key: bytes, arguments: Any, shards: int, report: Any
) -> None:
    begin(credentials, key, (Mailbox, "send", 3))
    with suppress(PendingError):
        Domains(*arguments, shards=shards).step("row", "emit")


PAIRS = {
    "delta": "postgresql",
    "iceberg": "s3",
    "postgresql": "sqlite",
    "sqlite": "delta",
    "s3": "iceberg",
}


@pytest.mark.parametrize(("scale", "row", "column"), cases(PAIRS, ("iceberg",)))
def test_killed_between_domains_and_resumed(
    scale, row, column, made, key, server, credentials, tmp_path, monkeypatch, umask_kept
):
    """The row party dies while it sends its rows, and goes on with the copy that it has."""
    case = Case(tmp_path, made, scale, row, column)
    use_key(key, monkeypatch.setattr)
    arguments = (tmp_path, case.country.study, case.sources)
    domains = Domains(*arguments, shards=SHARDS)
    domains.run(until=("row", "emit"))
    status, _ = child(server, emit_and_die, credentials, key.export_bytes(), arguments, SHARDS)
    assert status == -signal.SIGKILL
    handed_out = domains.contents()
    domains.run()
    assert domains.contents().items() >= handed_out.items()
    case.check()


def control_store() -> Iterator[tuple[str, bytes]]:
    """All that Ray's control store of this process's cluster holds: jobs, actors, environments."""
    from ray.experimental import internal_kv

    for space in (b"fun", None):
        for name in internal_kv._internal_kv_list(b"", namespace=space):
            value = internal_kv._internal_kv_get(name, namespace=space) or b""
            yield "control store", name + value


def run_on_ray(credentials: dict[str, str], study: Any, call: Any, death: Any, report: Any) -> None:
    """Count on a cluster, and report where among all objects a credential is found."""
    import ray

    from xstat_ray.runtime import ray_executor

    os.environ.update(credentials)
    if death is not None:
        die_at(*death)
    said = os.open(call["out"].parent / "said", os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(said, stream.fileno())
    refs = memory.remember(pytest.MonkeyPatch())

    class Held(ray_executor.RayExecutor):
        def close(self) -> None:
            objects = (("object", pickle.dumps(ray.get(ref))) for ref in refs)
            found = search(NEEDLES, chain(objects, control_store()))
            report.put([*found, f"{len(refs)} objects"])
            refs.clear()
            super().close()

    ray_executor.RayExecutor = Held
    crosstab(study, **call)


@pytest.fixture(scope="module")
def nodes(credentials: dict[str, str]) -> Iterator[tuple[str, Path]]:
    """A cluster of two nodes, which have the credentials: its address, and its folder."""
    from ray.cluster_utils import Cluster as Nodes

    # Ray's sockets have paths of at most 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="xr"))
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("RAY_")]:
            patch.delenv(name)
        patch.setenv("RAY_TMPDIR", str(folder))
        patch.setenv("PYTHONPATH", str(ROOT))
        arguments = {"num_cpus": 2, "object_store_memory": 100 << 20}
        cluster = Nodes(initialize_head=True, head_node_args=arguments)
        try:
            cluster.add_node(**arguments)
            yield "127.0.0.1:" + cluster.address.rsplit(":", 1)[1], folder
        finally:
            cluster.shutdown()
    shutil.rmtree(folder, ignore_errors=True)


@slow
@pytest.mark.ray
@pytest.mark.parametrize(
    ("scale", "row", "column"), [("small", "postgresql", "s3"), *cases(PAIRS, ())]
)
def test_on_two_nodes(scale, row, column, made, server, credentials, nodes, tmp_path):
    """With tables of PostgreSQL the driver dies during the join, and the same call ends the run."""
    case = Case(tmp_path, made, scale, row, column)
    address, folder = nodes
    call = case.call(runtime="ray", cluster=Cluster(address=address))
    deaths = [(Driver, "aggregate", 1), None] if row == "postgresql" else [None]
    for death in deaths:
        status, found = child(server, run_on_ray, credentials, case.country.study, call, death)
        assert status == (-signal.SIGKILL if death else 0), (tmp_path / "said").read_text()
    assert len(found) == 1, found
    assert search(NEEDLES, memory.object_store()) == set()
    case.check(folder)


@slow
def test_no_credential_is_in_anything_that_three_processes_make_or_say(made, tmp_path):
    """By the command line: what is printed, and the configuration that is."""
    case = Case(tmp_path, made, "small", "postgresql", "s3")
    period = case.country.study.period
    settings = [
        *("study=doto_movement", "deployment=federated", "runtime=local", "crypto.key_bits=2048"),
        *("privacy.noise='off'", "unsafe.allow_no_noise=true", f"shards={SHARDS}", "out=out"),
        f"study.period.start={period.start:%Y-%m-%d}",
        f"study.period.end={period.end:%Y-%m-%d}",
        *written("row", case.sources["row"]),
        *written("column", case.sources["column"]),
    ]
    said = tmp_path / "said"
    said.mkdir()
    for number, more in enumerate(
        (
            [],
            ["--cfg", "job"],
            ["--cfg", "all"],
            ["out=wrong", "data.row.table=nobody"],
            ["out=wrong", "data.column.path=s3://none/x"],
        )
    ):
        done = run("crosstab", tmp_path, *settings, *more, timeout=300)
        assert done.code == (2 if "out=wrong" in more else 0), done.printed
        (said / str(number)).write_text(done.printed)
    case.check()
    (tmp_path / "out" / "planted").write_text(PASSWORD)
    with pytest.raises(AssertionError, match="planted"):
        case.check()


def written(role: str, source: Source) -> list[str]:
    """Settings of the command line that name a party's tables."""
    table = source.table
    if isinstance(table, DatabaseTable):
        entries = [f"{{path: '{one.uri}', table: {one.table}}}" for one in source.excludes]
        place = [f"data.{role}.path='{table.uri}'", f"data.{role}.table={table.table}"]
    else:
        entries = [f"'{one}'" for one in source.excludes]
        place = [f"data.{role}.path='{table}'"]
    return [*place, f"data.{role}.exclude=[{', '.join(entries)}]"]
