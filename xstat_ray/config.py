"""From a composed configuration (plain dictionaries) to the arguments of a job, checked once at the edge."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xstat_ray.crosstab import Options
from xstat_ray.errors import StudyError
from xstat_ray.inputs.study_file import parse
from xstat_ray.runtime.executor import Source
from xstat_ray.study import Study

_TOP = (
    "study", "privacy", "data", "out", "runtime", "shards", "replicas", "window", "crypto", "cluster", "ledger",
    "display", "unsafe",
)  # fmt: skip
DISPLAYS = ("auto", "quiet", "json")


@dataclass(frozen=True)
class CrosstabConfig:
    """What `jobs.crosstab` needs."""

    study: Study
    row: Source
    column: Source
    out: Path
    options: Options
    display: str


def crosstab_config(raw: Mapping[str, Any], origin: str) -> CrosstabConfig:
    """Check a composed configuration.

    Args:
        raw: nested dictionaries with the keys of conf/crosstab.yaml.
        origin: name of the study's file, for messages.

    Raises:
        StudyError: an unknown or missing key, or a value of the wrong type; names the key.
    """
    _known(raw, _TOP, "", origin)
    study = parse({key: raw[key] for key in ("study", "privacy") if key in raw}, origin=origin)
    return CrosstabConfig(
        study=study,
        row=_source(raw, "row", origin),
        column=_source(raw, "column", origin),
        out=Path(_text(raw, "out", origin)),
        options=_options(raw, origin),
        display=_choice(raw, "display", DISPLAYS, origin),
    )


def _options(raw: Mapping[str, Any], origin: str) -> Options:
    crypto, cluster, unsafe = (_section(raw, name, origin) for name in ("crypto", "cluster", "unsafe"))
    _known(crypto, ("key_bits", "slot_bits"), "crypto.", origin)
    _known(cluster, ("address", "cpus", "store_bytes"), "cluster.", origin)
    _known(unsafe, ("allow_no_noise",), "unsafe.", origin)
    replicas = _section(raw, "replicas", origin)
    _known(replicas, ("row", "column"), "replicas.", origin)
    runtime = _choice(raw, "runtime", ("ray", "local"), origin)
    return Options(
        key_bits=_count(crypto, "key_bits", origin, "crypto."),
        slot_bits=None if crypto["slot_bits"] is None else _count(crypto, "slot_bits", origin, "crypto."),
        shards=_count(raw, "shards", origin),
        runtime="ray" if runtime == "ray" else "local",
        replicas={
            "row": _count(replicas, "row", origin, "replicas."),
            "column": _count(replicas, "column", origin, "replicas."),
        },
        window=_count(raw, "window", origin),
        address=cluster["address"],
        cpus=None if cluster["cpus"] is None else _count(cluster, "cpus", origin, "cluster."),
        store_bytes=_count(cluster, "store_bytes", origin, "cluster."),
        ledger=Path(_text(raw, "ledger", origin)),
        allow_no_noise=unsafe["allow_no_noise"] is True,
    )


def _known(section: Mapping[str, Any], keys: Iterable[str], prefix: str, origin: str) -> None:
    keys = list(keys)
    for key in section:
        if key not in keys:
            close = difflib.get_close_matches(str(key), keys, 1)
            hint = f"Did you mean {prefix}{close[0]}?" if close else f"Known here: {', '.join(keys)}"
            raise StudyError("unknown key", file=origin, key=f"{prefix}{key}", remedy=hint)


def _section(raw: Mapping[str, Any], key: str, origin: str) -> Mapping[str, Any]:
    value = raw.get(key)
    if not isinstance(value, Mapping):
        raise StudyError("a group of keys is expected", file=origin, key=key)
    return value


def _source(raw: Mapping[str, Any], role: str, origin: str) -> Source:
    data = _section(_section(raw, "data", origin), role, origin)
    _known(data, ("path", "exclude"), f"data.{role}.", origin)
    exclude = data.get("exclude")
    return Source(_text(data, "path", origin, f"data.{role}."), None if exclude is None else str(exclude))


def _text(section: Mapping[str, Any], key: str, origin: str, prefix: str = "") -> str:
    value = section.get(key)
    if not isinstance(value, str | Path) or not str(value):
        raise StudyError("a path is expected", file=origin, key=prefix + key, remedy=f"Set {prefix}{key}=...")
    return str(value)


def _count(section: Mapping[str, Any], key: str, origin: str, prefix: str = "") -> int:
    value = section.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise StudyError("a whole number of at least 1 is expected", file=origin, key=prefix + key)
    return value


def _choice(section: Mapping[str, Any], key: str, choices: tuple[str, ...], origin: str) -> str:
    value = section.get(key)
    if value not in choices:
        raise StudyError("not one of the choices", file=origin, key=key, remedy=f"Use one of {', '.join(choices)}")
    return str(value)
