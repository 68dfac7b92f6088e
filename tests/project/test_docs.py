"""Every block of code in every page is run here, or checked and listed with the reason why it is not run."""

from __future__ import annotations

import os
import re
import shlex
import stat
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from tests import postgres as postgresql
from tests.hokkaido.needs.country import make_country, publish_all
from tests.pages import PAGES, ROOT, blocks, text_of
from tests.sizes import slow, thorough
from xstat_ray.benchmarks.suites import benchmark_config
from xstat_ray.cli.config import crosstab_config, plan_config
from xstat_ray.federation.attestation_settings import party_attestation, pinned_aggregator
from xstat_ray.federation.config import (
    aggregator_config,
    approve_config,
    party_config,
    release_config,
)
from xstat_ray.geo import hokkaido
from xstat_ray.hokkaido.needs.config import needs_config
from xstat_ray.hokkaido.population.config import population_config
from xstat_ray.hokkaido.report.config import report_config
from xstat_ray.hokkaido.world.settings import synthesize_config
from xstat_ray.inputs.section import Section
from xstat_ray.inputs.study_file import parse
from xstat_ray.model.measure import Measure
from xstat_ray.model.study import Privacy
from xstat_ray.privacy.ledger import Debit, Ledger
from xstat_ray.util.package_files import CONF

RUN = ("bash", "python")
OUTPUT = "output"
"""Title of what the block before prints."""
NOT_RUN = {
    (
        "README.md",
        "make demo",
    ): "installs from a package registry, minutes; tests/project/test_makefile.py and each job's own tests",
    ("README.ja.md", "make demo"): "as README.md",
    (
        "docs/budget.md",
        "xstat-ray budget take-over",
    ): "needs a ledger of version 0.1; tests/jobs/test_budget.py",
    (
        "docs/budget.md",
        "xstat-ray budget create \"ledger='postgresql:",
    ): "needs a server; tests/jobs/test_budget.py makes one",
    ("CONTRIBUTING.md", "make install"): "installs from a package registry; .ci/run does the same",
    ("CONTRIBUTING.md", "python -m pytest"): "runs the tests, this one among them",
    (
        "cluster/README.md",
        "docker build",
    ): "needs a cloud; tests/cluster checks every file that it names",
    (
        "cluster/README.md",
        "ray job submit",
    ): "needs a cluster; tests/cluster/test_job_submit.py submits one",
    (
        "cluster/README.md",
        "python cluster/make_secrets.py secrets/cluster\nfor",
    ): "needs machines; tests/cluster/test_job_submit.py starts two nodes so",
    (
        "cluster/README.md",
        "kubectl create namespace",
    ): "needs Kubernetes; tests/cluster checks every file that it names",
    (
        "cluster/README.md",
        "kubectl --namespace xstat-row create secret generic xstat-ledger",
    ): "needs Kubernetes; tests/cluster checks that jobs and pods name it",
    ("docs/tutorial.md", "make install"): "installs from a package registry; .ci/run does the same",
    (
        "docs/domains.md",
        "xstat-ray crosstab",
    ): "minutes, for the dummies; tests/jobs/test_domains.py runs one",
    (
        "docs/domains.md",
        "xstat-ray verify",
    ): "needs the release above; tests/federation/test_verify.py makes one",
    **{
        ("docs/domains.md", f"# {who}"): "run by tests/project/test_domains_page.py"
        for who in (
            *("The row party, once.", "The column party, once.", "The aggregator, once."),
            *("The row party approves.", "The column party approves.", "The aggregator approves."),
            *("The row party.", "The column party.", "The aggregator.", "Anybody."),
        )
    },
    (
        "docs/geography.md",
        "pip install",
    ): "installs from a package registry; tests/geo/test_build_reference.py builds",
    (
        "docs/notebook.md",
        "pip install",
    ): "installs from a package registry; tests/project/test_notebook.py runs the notebook",
    ("docs/object_stores.md", "export AWS"): "sets what has no value on the page",
    (
        "docs/object_stores.md",
        "xstat-ray crosstab study=nycflights runtime=local data",
    ): "run by tests/project/test_object_stores_page.py",
    (
        "docs/object_stores.md",
        "AWS_ENDPOINT_URL",
    ): "run by tests/project/test_object_stores_page.py",
    (
        "docs/object_stores.md",
        "xstat-ray crosstab study=nycflights runtime=local \\",
    ): "run by tests/project/test_object_stores_page.py",
    (
        "docs/performance.md",
        "xstat-ray benchmark",
    ): "minutes; tests/jobs/test_benchmark.py runs it in small",
    (
        "docs/other_tables.md",
        "xstat-ray crosstab --config-dir my_conf study=station out=out/postgresql",
    ): "needs a server; test_the_command_for_postgresql_reads_a_server runs it",
    ("docs/privacy.md", "pip install"): "minutes; tests/benchmarks runs every suite in small",
}
"""Blocks that are not run here, by page and beginning, and why. Commands of jobs in them are still
composed."""

FRAGMENTS = {
    "docs/domains.md": "test_the_pins_of_an_aggregator_in_an_enclave_are_read_by_a_party_and_by_verify",
    "docs/padding.md": "test_the_example_of_padding_is_that_of_a_valid_study",
    "docs/studies.md": "test_examples_of_dimensions_and_windows_are_valid_studies",
}
"""Pages with YAML that is part of a file, and the test that completes it."""

SMALLER = {
    "crosstab": "runtime=local crypto.key_bits=2048",
    "population": "runtime=local population.days=2",
    "synthesize": "runtime=local world.people=900 world.block=300 world.days=2",
}
"""What is added to a reader's command so that it takes seconds. The README's command runs as it is,
on Ray."""

CONFIGS = {
    "aggregate": aggregator_config,
    "approve": approve_config,
    "benchmark": benchmark_config,
    "crosstab": crosstab_config,
    "deidentify": party_config,
    "needs": needs_config,
    "plan": plan_config,
    "population": population_config,
    "release": release_config,
    "report": report_config,
    "synthesize": synthesize_config,
}


def reason(page, block):
    reasons = [
        why
        for (name, start), why in NOT_RUN.items()
        if name == page and block.text.startswith(start)
    ]
    return reasons[0] if reasons else None


def environment(shims):
    """What a reader has who activated the virtual environment: `xstat-ray`, and the repository's packages."""
    path = f"{shims}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    return os.environ | {"PATH": path, "PYTHONPATH": str(ROOT), "COLUMNS": "120"}


@pytest.fixture(scope="module")
def shims(tmp_path_factory):
    """A folder with an `xstat-ray` that makes the jobs smaller."""
    return install_command(tmp_path_factory.mktemp("bin"), SMALLER)


def install_command(folder, smaller):
    """Put the repository's `xstat-ray` into a folder; it adds arguments to the commands of some jobs."""
    cases = "\n".join(f'{job}) set -- "$@" {more} ;;' for job, more in smaller.items())
    run = f'exec {sys.executable} -P -m xstat_ray.cli "$@"'
    command = folder / "xstat-ray"
    command.write_text(f'#!/bin/bash\ncase "$1" in\n{cases}\nesac\n{run}\n')
    command.chmod(command.stat().st_mode | stat.S_IXUSR)
    return folder


@pytest.fixture(scope="module")
def releases(tmp_path_factory):
    folder = tmp_path_factory.mktemp("releases")
    made = publish_all(make_country(7, 20_000), folder)
    made.movement.rename(folder / "doto_movement")
    return folder


def follow(page, folder, shims):
    """What a reader in the repository's folder does: keeps the titled blocks as files, and runs the others in order."""
    (folder / "conf").symlink_to(ROOT / "conf")
    printed = ""
    for block in blocks(page):
        if block.title == OUTPUT:
            assert_shown(block.text, printed)
        elif block.title is not None:
            (folder / block.title).parent.mkdir(parents=True, exist_ok=True)
            (folder / block.title).write_text(block.text)
        elif block.language in RUN and reason(page, block) is None:
            command = (
                ["bash", "-euo", "pipefail", "-c"]
                if block.language == "bash"
                else [sys.executable, "-c"]
            )
            environ = environment(shims)
            done = subprocess.run(
                [*command, block.text], cwd=folder, env=environ, capture_output=True, text=True
            )
            assert done.returncode == 0, f"{page}: {block.text}\n{done.stdout}\n{done.stderr}"
            printed = done.stdout
            yield printed


def assert_shown(expected, printed):
    """Every line was printed, in this order.

    Columns may be wider, and there may be more lines between.
    """
    lines = iter(" ".join(line.split()) for line in printed.splitlines())
    for line in expected.splitlines():
        assert any(" ".join(line.split()) in shown for shown in lines), (
            f"not printed: {line}\n{printed}"
        )


FOLLOWED = {"README.md", "docs/budget.md", "docs/world.md", "docs/needs.md", "docs/report.md"}
"""Pages with a test of their own."""


def runnable(page):
    return any(block.language in RUN and reason(page, block) is None for block in blocks(page))


LONG = {f"docs/{name}.md" for name in ("tutorial", "population", "command_line")}
"""Pages whose blocks take several seconds."""
LONGEST = {f"docs/{name}.md" for name in ("other_tables", "own_study", "recipes", "relations")}
"""Pages whose blocks take tens of seconds."""


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=[thorough] if page in LONG else [slow] if page in LONGEST else [])
        for page in PAGES
        if runnable(page) and page not in FOLLOWED and not page.endswith(".ja.md")
    ],
)
def test_the_blocks_of_a_page_run_in_order(page, tmp_path, shims):
    assert list(follow(page, tmp_path, shims))


@thorough
def test_the_command_for_postgresql_reads_a_server(tmp_path, shims, postgres):
    page = "docs/other_tables.md"
    name = postgres.new_database()
    postgres.execute("CREATE TABLE presence (phone text, time timestamp, area text)", name)
    postgres.execute(
        "INSERT INTO presence VALUES ('090-1234-5678', '2024-05-01T08:10', 'Kushiro')", name
    )
    for block in blocks(page):
        if block.title not in (None, OUTPUT):
            (tmp_path / block.title).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / block.title).write_text(block.text)
    (command,) = [block.text for block in blocks(page) if reason(page, block)]
    shown = "postgresql://reader@db.example:5432/operator"
    assert shown in command
    environ = environment(shims) | {"PGPASSWORD": postgresql.PASSWORD}
    done = subprocess.run(
        ["bash", "-euc", command.replace(shown, postgres.uri(name, tcp=True))],
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    kept = (tmp_path / "out" / "postgresql").rglob("*")
    told = (
        done.stdout
        + done.stderr
        + "".join(p.read_text(errors="replace") for p in kept if p.is_file())
    )
    assert "Kushiro" in told and postgresql.PASSWORD not in told


@thorough
@pytest.mark.ray
def test_readme_runs_on_own_tables(tmp_path):
    (tmp_path / "bin").mkdir()
    list(follow("README.md", tmp_path, install_command(tmp_path / "bin", {})))
    for out in ("shops", "shops2"):
        assert pq.read_table(tmp_path / "out" / out / "statistics.parquet").num_rows == 3 * 2


@slow
def test_plans_and_budget_of_the_budget_page(tmp_path, shims):
    ledger = Ledger(tmp_path / ".xstat-ray" / "ledger.sqlite")
    for dataset in ("nycflights/row", "nycflights/column"):
        terms = ("5d" * 32, "nycflights", Fraction(1), Fraction(0))
        ledger.debit(Debit(dataset, "r1", *terms), Fraction(10))
    budget, _, plans, _ = follow("docs/budget.md", tmp_path, shims)
    (answer,) = re.findall(r"answers with `(privacy\.epsilon=[\d.]+)`", text_of("docs/budget.md"))
    assert f"{answer}," in plans and '"compared"' in plans
    assert re.search(r"nycflights/row +1 +20 ", budget)
    assert {path.name for path in tmp_path.iterdir()} == {".xstat-ray", "conf", "private"}


@pytest.fixture(scope="module")
def world_page(tmp_path_factory, shims):
    folder = tmp_path_factory.mktemp("world")
    list(follow("docs/world.md", folder, shims))
    return folder / "data" / "hokkaido"


@thorough
def test_the_command_of_the_world_page_makes_the_files_it_lists(world_page):
    listed = re.findall(r"^\| `([\w/=*.-]+\.(?:parquet|json))`", text_of("docs/world.md"), re.M)
    found = {path for pattern in listed for path in world_page.glob(pattern)}
    assert found == {path for path in world_page.rglob("*") if path.is_file()}


@thorough
def test_the_command_of_the_needs_page_writes_the_files_it_lists(tmp_path, shims, releases):
    (tmp_path / "out").mkdir()
    for made in releases.iterdir():
        (tmp_path / "out" / made.name).symlink_to(made)
    list(follow("docs/needs.md", tmp_path, shims))
    listed = re.findall(r"^\| `(\w+)` \| ", text_of("docs/needs.md").partition("## Files")[2], re.M)
    assert {path.stem for path in (tmp_path / "out" / "needs").glob("*.parquet")} == set(listed)


@thorough
def test_the_command_of_the_report_page_writes_the_files_it_lists(tmp_path, shims, releases):
    (tmp_path / "out").mkdir()
    for made in releases.iterdir():
        (tmp_path / "out" / made.name).symlink_to(made)
    list(follow("docs/needs.md", tmp_path, shims))
    (tmp_path / "conf").unlink()
    list(follow("docs/report.md", tmp_path, shims))
    listed = re.findall(
        r"`([\w<>.]+)`",
        "".join(
            re.findall(r"^\| (`.*?) \| ", text_of("docs/report.md").partition("## Files")[2], re.M)
        ),
    )
    studies = ("doto_movement", "catchment", "preboarding")
    names = {one.replace("<study>", study) for one in listed for study in studies}
    found = {path.name for path in (tmp_path / "out" / "report").iterdir()}
    assert {
        name for name in found if name not in names and name.rsplit(".", 1)[0] not in names
    } == set()
    assert {
        "report.html",
        "catchment.geo.parquet",
        "needs.geojson",
        "watershed.svg",
        "map_doto_movement.png",
    } <= found


def test_examples_of_dimensions_and_windows_are_valid_studies(tmp_path):
    fragments = [block.text for block in blocks("docs/studies.md") if block.language == "yaml"]
    loaded = [yaml.safe_load(text) for text in fragments]
    dimensions, references, hierarchies, windows, measures, parties, row_parties = loaded
    (tmp_path / "areas.csv").write_text(
        "mesh,town,region\n654321,Kushiro,east\n654322,Nemuro,east\n"
    )
    study = {
        "name": "doc",
        "period": {
            "grain": "15min",
            "start": "2023-08-28",
            "end": "2023-09-28",
            "timezone": "Asia/Tokyo",
        },
        "row": {"id": "id", "time": "t", "dimensions": dimensions},
        "column": {"id": "id", "dimensions": [], **windows, **measures},
    }
    parsed = parse({"study": study}, origin=str(tmp_path / "doc.yaml"))
    assert [d.size for d in parsed.row.dimensions] == [3, 19, 3, 2]
    assert parsed.column_labels[0][1][:2] == ("departure-6h", "departure-5h")
    assert parsed.window_periods == 9
    assert parsed.column.measures == (Measure("fare", "fare", 0, 60000, "JPY"),)
    study["row"]["dimensions"] = references
    geographic = parse({"study": study}, origin=str(tmp_path / "doc.yaml"))
    assert (
        geographic.row.dimensions[0].labels[0] in hokkaido.municipalities()["name_en"].to_pylist()
    )
    assert [d.size for d in geographic.row.dimensions] == [179, 2729]
    study["row"]["dimensions"] = hierarchies
    deep = parse({"study": study}, origin=str(tmp_path / "doc.yaml"))
    assert [[level.name for level in d.hierarchy] for d in deep.row.dimensions] == [
        ["town", "region"],
        ["coast"],
        ["4x4"],
    ]
    study.update(parties, period={"grain": "none"})
    del study["row"]["time"]
    united = parse({"study": study}, origin=str(tmp_path / "doc.yaml"))
    assert [terms.boardings for terms in united.column_parties] == [4, 2]
    assert [terms.dataset for terms in united.column_parties] == ["doc/jal", "regional"]
    del row_parties["row"]["time"]
    study.update(row_parties)
    of_two = parse({"study": study}, origin=str(tmp_path / "doc.yaml"))
    assert [terms.rows for terms in of_two.row_parties] == [2, 1]
    assert [terms.dataset for terms in of_two.row_parties] == ["doc/first_mobile", "subscribers"]


def test_the_shipped_studies_are_those_listed():
    rows = re.findall(
        r"^\| `(\w+)` \| ([\d,]*)",
        text_of("docs/studies.md").partition("## Shipped studies")[2],
        re.M,
    )
    files = {path.stem: path for path in (CONF / "study").glob("*.yaml")}
    assert {name for name, _ in rows} == set(files)
    for name, size in rows:
        raw = yaml.safe_load(files[name].read_text())
        study = parse({"study": raw["study"], "privacy": raw["privacy"]}, origin=str(files[name]))
        assert study.name == name
        assert not size or study.row.dimensions[0].size == int(size.replace(",", ""))


def test_the_example_of_padding_is_that_of_a_valid_study():
    (block,) = [block for block in blocks("docs/padding.md") if block.language == "yaml"]
    side = {"id": "id", "dimensions": [{"name": "area", "range": [1, 2]}]}
    study = {
        "name": "doc",
        "row": side,
        "column": {"id": "id", "dimensions": [{"name": "kind", "range": [1, 2]}]},
    }
    assert parse(
        {"study": study, **yaml.safe_load(block.text)}, origin="doc.yaml"
    ).privacy == Privacy(padding="dp")


def test_the_pins_of_an_aggregator_in_an_enclave_are_read_by_a_party_and_by_verify():
    (block,) = [block for block in blocks("docs/domains.md") if block.language == "yaml"]
    raw = yaml.safe_load(re.sub(r"(\w{4})\.{3}", lambda match: match[1] * 24, block.text))
    top = Section(raw, key="", origin="doc.yaml", known=("attestation",))
    demanded = party_attestation(top).aggregator
    pinned = pinned_aggregator(top)
    assert demanded.expect == pinned.expect == "nitro"
    assert demanded.pcrs == pinned.pcrs and set(pinned.pcrs) == {0, 1, 2}


@pytest.mark.parametrize("page", PAGES)
def test_every_block_is_run_or_accounted_for(page):
    text = text_of(page)
    found = blocks(page)
    assert not re.search(r"^(<{7} |={7}$|>{7} )", text, re.M), "a merge that was not finished"
    assert len(re.findall(r"^\s*```", text, re.M)) == 2 * len(found), (
        "a fence that is indented or has no language"
    )
    for block in found:
        untitled = block.title is None
        assert block.language in (*RUN, "yaml", "csv", "text", "json"), block.first
        assert untitled or block.language not in RUN, "code with a title is not run"
        assert (
            not untitled or block.language != "yaml" or page in FRAGMENTS or reason(page, block)
        ), block.first
        assert block.language != "text" or not re.search(
            r"^(\$ )?(xstat-ray|python|make|pip|ray|kubectl) ", block.text, re.M
        )
    assert not re.search(
        r"^ {4,}(xstat-ray|python -m|make|pip|ray) ", re.sub(FENCED, "", text), re.M
    ), "a command without a fence"


ROOTS = (ROOT, ROOT / "xstat_ray", ROOT / "xstat_ray" / "crypto" / "kernels")
"""Where the names of source files on the pages start."""
FENCED = re.compile(r"^```.*?^```$", re.M | re.S)


def test_what_is_not_run_is_still_there():
    for page, start in NOT_RUN:
        assert len([block for block in blocks(page) if block.text.startswith(start)]) == 1, (
            page,
            start,
        )
    assert all(page in PAGES and test in globals() for page, test in FRAGMENTS.items())


def mentioned():
    """The job commands of blocks that are not run."""
    for page in PAGES:
        for block in blocks(page):
            why = reason(page, block)
            if block.language == "bash" and why is not None and not why.startswith("run by"):
                for words in block.commands:
                    job = words[1] if words[0] == "xstat-ray" else ""
                    # A study of the page itself is not there; a test of its own runs the command.
                    if job in CONFIGS and "--config-dir" not in words:
                        yield pytest.param(job, words[2:], id=shlex.join(words))


@pytest.mark.parametrize(("job", "arguments"), list(mentioned()))
def test_commands_that_are_not_run_are_accepted(job, arguments):
    with initialize_config_dir(str(CONF), version_base="1.3"):
        raw = OmegaConf.to_container(compose(job, arguments), resolve=True)
    assert CONFIGS[job](raw, "the command line")


@pytest.mark.parametrize(
    ("page", "before"),
    [("docs/reading_the_map.md", r"(?:press |under |^)\*\*([^*]+)\*\*(?:[,.]| gives)"),
     ("docs/reading_the_map.ja.md", r"\*\*([^*]+)\*\* (?:を|は A4|で)")],
)  # fmt: skip
def test_the_page_for_readers_names_what_the_report_shows(page, before):
    """What it has in bold in the table of views, and where something is to be pressed or chosen, is a text of the report."""
    shown = (ROOT / "xstat_ray" / "hokkaido" / "report" / "page" / "words.js").read_text(
        encoding="utf-8"
    )
    text = text_of(page)
    named = re.findall(r"^\| \*\*([^*]+)\*\* \|", text, re.M) + re.findall(before, text, re.M)
    assert len(named) == 9
    assert [name for name in named if f'"{name}"' not in shown] == []


def test_every_job_with_a_configuration_is_known_here():
    checked_by_the_job = {"budget", "nycflights", "verify"}
    assert set(CONFIGS) | checked_by_the_job == {path.stem for path in CONF.glob("*.yaml")}


def test_targets_of_make_exist():
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.M))
    named = {
        target
        for page in PAGES
        for target in re.findall(r"(?:`|^)make ([\w-]+)(?=\s|`)", text_of(page), re.M)
    }
    assert named and named <= targets


@pytest.mark.parametrize("page", PAGES)
def test_links_and_named_files_exist(page):
    text = FENCED.sub("", text_of(page))
    targets = [t for t in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text) if "://" not in t]
    assert all(((ROOT / page).parent / target).exists() for target in targets), targets
    named = re.findall(r"`((?:tests|xstat_ray|jobs|conf|docs|cluster|\.\w+)/[\w/.-]*)`", text)
    assert [name for name in named if not (ROOT / name).exists()] == []
    sources = re.findall(r"`([\w/]+\.(?:py|js|c|h))`", text)
    roots = (*ROOTS, (ROOT / page).parent)
    assert [name for name in sources if not any((root / name).exists() for root in roots)] == []


def test_every_security_claim_names_the_test_that_shows_it():
    claims = re.split(r"^## ", text_of("docs/security.md"), flags=re.M)[1:]
    for section in claims:
        lines = re.findall(r"^(?:\| (?!claim|role|---).*|- (?:.*\n(?:  .*\n?)*))", section, re.M)
        assert lines, section
        for line in lines:
            assert re.search(r"`tests/[\w/]+\.py`|\*Assumed\.?\*", line), line
