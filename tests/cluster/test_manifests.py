"""What an operator deploys: every file is well formed, without unknown keys, and keeps the rules of cluster/README.md."""

from __future__ import annotations

import copy
import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import ray
import yaml
from hydra import compose, initialize_config_dir

from tests.cluster.manifest_schema import KINDS

ROOT = Path(__file__).parents[2]
LAUNCHER = sorted((ROOT / "cluster/launcher").glob("*.yaml"))
KUBERAY = sorted((ROOT / "cluster/kuberay").glob("*.yaml"))
DOMAINS = ("row", "column", "aggregator")
WORKER_PORTS = range(10002, 20000)


def named(paths):
    return pytest.mark.parametrize("path", paths, ids=lambda path: path.name)


def documents(path: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(path.read_text()))


def cluster(domain: str) -> dict[str, Any]:
    (found,) = (
        one
        for one in documents(ROOT / f"cluster/kuberay/{domain}.yaml")
        if one["kind"] == "RayCluster"
    )
    return found


VALIDATORS = {kind: jsonschema.Draft202012Validator(schema) for kind, schema in KINDS.items()}


def check(document: Any) -> None:
    VALIDATORS[document["kind"]].validate(document)


def keys(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every key of nested mappings and lists."""
    for key, value in (
        node.items()
        if isinstance(node, dict)
        else enumerate(node)
        if isinstance(node, list)
        else ()
    ):
        if isinstance(node, dict):
            yield (*path, key)
        yield from keys(value, (*path, key))


# The launcher


@named(LAUNCHER)
def test_launcher_files_fit_the_schema_of_ray(path):
    schema = json.loads((Path(ray.__file__).parent / "autoscaler/ray-schema.json").read_text())
    (config,) = documents(path)
    jsonschema.validate(config, schema)
    for misspelt in (
        {"max_wokers": 1},
        {"available_node_types": {"head": {"resources": {}, "node_config": {}, "label": {}}}},
    ):
        with pytest.raises(jsonschema.ValidationError, match="Additional properties"):
            jsonschema.validate(config | misspelt, schema)


@named(LAUNCHER)
def test_launcher_files_keep_the_rules(path):
    (config,) = documents(path)
    types = config["available_node_types"]
    assert {name: kind["labels"]["party"] for name, kind in types.items()} == {
        "head": "driver", "row": "row", "column": "column", "pool": "none",
    }  # fmt: skip
    assert types["head"]["resources"] == {"CPU": 0}
    spot = {
        name for name, kind in types.items() if "spot" in json.dumps(kind["node_config"]).lower()
    }
    assert spot == {"pool"}
    for name, kind in types.items():
        fixed = name in ("row", "column")
        assert (
            (kind["min_workers"], kind["max_workers"]) == (1, 1)
            if fixed
            else kind["max_workers"] in (0, 16)
        )
    assert config["max_workers"] == sum(kind["max_workers"] for kind in types.values())
    assert config["idle_timeout_minutes"] >= 5
    assert config["provider"]["use_internal_ips"] is True
    commands = config["head_start_ray_commands"] + config["worker_start_ray_commands"]
    assert [c.split()[:2] for c in commands if "start_node.sh" in c] == [
        ["/opt/xstat/cluster/start_node.sh", "head"],
        ["/opt/xstat/cluster/start_node.sh", "worker"],
    ]
    assert not [command for command in commands if re.search(r"\bray start\b", command)]


def test_fixed_ports_lie_outside_those_of_workers():
    script = (ROOT / "cluster/start_node.sh").read_text()
    (first,) = re.findall(r"XSTAT_FIRST_PORT:-(\d+)", script)
    (gcs,) = re.findall(r"XSTAT_GCS_PORT:-(\d+)", script)
    low, high = (
        int(re.findall(rf"--{end}-worker-port (\d+)", script)[0]) for end in ("min", "max")
    )
    assert range(low, high + 1) == WORKER_PORTS
    assert not {int(gcs), *range(int(first), int(first) + 6)} & set(WORKER_PORTS)
    for domain in DOMAINS:
        spec = cluster(domain)["spec"]
        for group in (spec["headGroupSpec"], *spec["workerGroupSpecs"]):
            ports = {
                name: int(value)
                for name, value in group["rayStartParams"].items()
                if name.endswith("-port")
            }
            workers = range(ports.pop("min-worker-port"), ports.pop("max-worker-port") + 1)
            assert workers == WORKER_PORTS and len(set(ports.values())) == len(ports)
            assert not {*ports.values(), 6379, 8265, 10001} & set(workers)


# KubeRay


@named(KUBERAY)
def test_manifests_fit_the_strict_schema(path):
    for document in documents(path):
        check(document)


@named(KUBERAY)
def test_every_misspelt_key_is_caught(path):
    """One key after the other gets a letter more.

    Maps of free words, such as labels, have no keys to misspell.
    """
    free = {"labels", "matchLabels", "nodeSelector", "podSelector"}
    for document in documents(path):
        tried = 0
        for *way, last in keys(document):
            if way and way[-1] in free:
                continue
            broken = copy.deepcopy(document)
            node = broken
            for step in way:
                node = node[step]
            node[f"{last}s" if last != "from" else "form"] = node.pop(last)
            with pytest.raises((jsonschema.ValidationError, KeyError)):
                check(broken)
            tried += 1
        assert tried > 8


@pytest.mark.parametrize("domain", DOMAINS)
def test_every_domain_has_its_own_namespace_cluster_policy_and_job(domain):
    found = documents(ROOT / f"cluster/kuberay/{domain}.yaml") + documents(
        ROOT / f"cluster/kuberay/{domain}-job.yaml"
    )
    assert [one["kind"] for one in found] == ["RayCluster", "NetworkPolicy", "RayJob"]
    assert {one["metadata"]["namespace"] for one in found} == {f"xstat-{domain}"}
    assert found[2]["spec"]["clusterSelector"] == {"ray.io/cluster": found[0]["metadata"]["name"]}
    others = [one for one in DOMAINS if one != domain]
    assert not [name for name in others if f"xstat-{name}" in yaml.safe_dump_all(found)]


@pytest.mark.parametrize("domain", DOMAINS)
def test_clusters_keep_the_rules(domain):
    spec = cluster(domain)["spec"]
    assert spec["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    (group,) = spec["workerGroupSpecs"]
    assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]
    party = domain != "aggregator"
    assert group["labels"] == {"party": domain if party else "none"}
    assert (group["minReplicas"] == group["maxReplicas"] == 1) == party
    assert spec["enableInTreeAutoscaling"] == ("autoscalerOptions" in spec) == (not party)
    assert ("nodeSelector" in group["template"]["spec"]) == (not party)
    for one in (spec["headGroupSpec"], group):
        pod = one["template"]["spec"]
        assert pod["automountServiceAccountToken"] == (not party and one is spec["headGroupSpec"])
        for container in (*pod["initContainers"], *pod["containers"]):
            assert container["resources"]["requests"] == container["resources"]["limits"]
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        (ray_container,) = pod["containers"]
        mounts = {
            mount["mountPath"]: volumes[mount["name"]] for mount in ray_container["volumeMounts"]
        }
        assert mounts["/dev/shm"]["emptyDir"]["medium"] == "Memory"
        # Ray's object store takes three tenths of the memory.
        shm, memory = (int(text.removesuffix("Gi")) for text in (
            mounts["/dev/shm"]["emptyDir"]["sizeLimit"], ray_container["resources"]["limits"]["memory"]))  # fmt: skip
        assert shm * 4 == memory
        environment = {variable["name"]: variable["value"] for variable in ray_container["env"]}
        assert environment["RAY_USE_TLS"] == "1" and all(
            "/state/tls/" in v for n, v in environment.items() if "TLS_" in n
        )
        # The authority's key is where certificates are made, and nowhere else; no secret is a
        # variable.
        assert [m["name"] for m in pod["initContainers"][0]["volumeMounts"]] == [
            "authority",
            "state",
        ]
        assert "/authority" not in mounts and not [n for n in environment if "TOKEN" in n]


@pytest.mark.parametrize("domain", DOMAINS)
def test_nothing_but_the_operator_enters_a_domain(domain):
    (policy,) = (
        d
        for d in documents(ROOT / f"cluster/kuberay/{domain}.yaml")
        if d["kind"] == "NetworkPolicy"
    )
    own, operator = policy["spec"]["ingress"]
    assert own == {"from": [{"podSelector": {}}]}
    assert operator["ports"] == [{"protocol": "TCP", "port": 8265}]
    assert operator["from"] == [
        {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kuberay-system"}}}
    ]
    ports = [
        {rule["port"] for rule in one["ports"]} if "ports" in one else set()
        for one in policy["spec"]["egress"]
    ]
    # The database of the party's ledger; the aggregator has none.
    assert ports == [set(), {53}, {443} if domain == "aggregator" else {443, 5432}]


@pytest.mark.parametrize("domain", ["row", "column"])
def test_a_party_and_no_other_gets_what_opens_its_ledger(domain):
    (job,) = documents(ROOT / f"cluster/kuberay/{domain}-job.yaml")
    assert job["spec"]["entrypoint"].count(f"data.{domain}.ledger=") == 2
    spec = cluster(domain)["spec"]
    for one in (spec["headGroupSpec"], *spec["workerGroupSpecs"]):
        (ray_container,) = one["template"]["spec"]["containers"]
        environment = {variable["name"]: variable["value"] for variable in ray_container["env"]}
        (mount,) = (m for m in ray_container["volumeMounts"] if m["name"] == "ledger")
        assert environment["PGSERVICEFILE"].startswith(mount["mountPath"]) and mount["readOnly"]
        assert "PGPASSWORD" not in environment
    text = (ROOT / "cluster/kuberay/aggregator.yaml").read_text()
    assert not re.search("ledger|PGSERVICE|5432", text)


@pytest.mark.parametrize("domain", DOMAINS)
def test_the_commands_of_the_jobs_are_understood(domain):
    (job,) = documents(ROOT / f"cluster/kuberay/{domain}-job.yaml")
    words = shlex.split(job["spec"]["entrypoint"])
    starts = [i for i, word in enumerate(words) if word == "xstat-ray"]
    commands = [words[start:end] for start, end in pairwise([*starts, len(words)])]
    assert [command[1] for command in commands] == (
        ["aggregate"] if domain == "aggregator" else ["deidentify", "release"]
    )
    with initialize_config_dir(version_base="1.3", config_dir=str(ROOT / "conf")):
        for command in commands:
            overrides = [word for word in command[2:] if word != "&&"]
            composed = compose(command[1], overrides=overrides)
            assert (
                composed.domain.private.startswith("/private/")
                and composed.cluster.address == "auto"
            )
            assert set(composed.domain.peers) == set(DOMAINS)


# The image


def test_the_dockerfile_passes_its_linter():
    linter = shutil.which("hadolint", path=str(Path(sys.executable).parent))
    if linter is None:
        pytest.skip("hadolint is not installed: its package has no wheel for this machine")
    done = subprocess.run(
        [linter, "--no-color", "cluster/Dockerfile"], cwd=ROOT, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, "")
    spoilt = (
        (ROOT / "cluster/Dockerfile")
        .read_text()
        .replace("slim-bookworm", "latest", 1)
        .replace("USER 1000", "USER root")
    )
    done = subprocess.run([linter, "--no-color", "-"], input=spoilt, capture_output=True, text=True)
    assert done.returncode == 1 and "DL3002" in done.stdout


def test_what_the_dockerfile_copies_exists_and_is_enough():
    text = (ROOT / "cluster/Dockerfile").read_text()
    sources = [
        word
        for line in re.findall(r"^COPY (?!--from)(.*)$", text, re.M)
        for word in line.split()[:-1]
    ]
    assert len(sources) > 8 and all((ROOT / source).exists() for source in sources)
    assert {"conf", "jobs", "xstat_ray", "pyproject.toml", "setup.py", "constraints.txt"} <= set(
        sources
    )
    images = {line.split()[1] for line in text.splitlines() if line.startswith("FROM")}
    assert all(re.fullmatch(r"python:3\.11\.\d+-slim-\w+", image) for image in images), images


def test_the_start_script_is_well_formed():
    for role, code in (("head", 0), ("", 1)):
        command = (
            ["bash", "-n", str(ROOT / "cluster/start_node.sh")]
            if role
            else ["bash", str(ROOT / "cluster/start_node.sh")]
        )
        assert subprocess.run(command, capture_output=True).returncode == code
