"""Reads what all jobs on a study have in their configurations: study, tables and options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from xstat_ray.errors import InputError
from xstat_ray.inputs.section import Section
from xstat_ray.inputs.source import DEFAULT_LEDGER, Source
from xstat_ray.inputs.study_file import parse
from xstat_ray.model.study import PaddingMode, Role, Study
from xstat_ray.planning.batching import BATCHES, Batch
from xstat_ray.planning.cluster import read_cluster
from xstat_ray.planning.options import Options
from xstat_ray.planning.table_settings import (
    FILE_KEYS,
    TABLE_KEYS,
    read_excluded,
    read_file_options,
    read_table,
)
from xstat_ray.privacy.places import Place, create_command, place_of

TOP = (
    "study", "privacy", "tables", "data", "out", "runtime", "shards", "batch", "replicas",
    "window", "memory", "crypto", "cluster", "display", "unsafe", "world", "deployment",
)  # fmt: skip
"""Top-level keys that all jobs on a study have."""
SOURCE_KEYS = (
    *TABLE_KEYS,
    *FILE_KEYS,
    "exclude",
    "unreadable",
    "warn_above",
    "damaged",
    "ledger",
)
"""Keys of a party's data."""
DISPLAYS = ("auto", "quiet", "json")
"""What a job may show at the terminal."""


def read_study(raw: Mapping[str, Any], origin: str, *, padding: PaddingMode = "off") -> Study:
    """Read the study that a configuration describes.

    Args:
        raw: the composed configuration.
        origin: name of the study's file, for error messages.
        padding: the padding of a study whose configuration leaves it open.

    Raises:
        StudyError: the configuration describes no study; names the key.
    """
    blocks = {key: raw[key] for key in ("study", "privacy") if key in raw}
    privacy = blocks.get("privacy")
    if isinstance(privacy, Mapping) and privacy.get("padding") is None:
        blocks["privacy"] = {**privacy, "padding": padding}
    return parse(blocks, origin=origin)


def read_source(
    data: Section, role: str, ledger: Place = DEFAULT_LEDGER, *, spends: bool = True
) -> Source:
    """Read where the data of a party lies.

    Args:
        data: the section `data`.
        role: the party, `row` or `column`.
        ledger: the party's ledger where the configuration names none.
        spends: whether anything is written into the ledger, which must be there then.

    Raises:
        StudyError: an unknown or missing key, or a value of the wrong type; names the key.
        InputError: a ledger that is named and is not there.
    """
    section = data.child(role, SOURCE_KEYS)
    place = read_ledger(data, role, ledger)
    damaged = section.choice("damaged", ("stop", "skip"), "stop")
    unreadable = section.choice("unreadable", ("stop", "count"), "stop")
    warn_above = section.fraction("warn_above", Source.warn_above)
    if not 0 <= warn_above <= 1:
        raise section.error("warn_above is no share between 0 and 1", "warn_above")
    return Source(
        read_table(section),
        read_excluded(section),
        ledger=check_ledger(place, role, ledger) if spends else place,
        skip_damaged=damaged == "skip",
        unreadable="count" if unreadable == "count" else "stop",
        warn_above=warn_above,
        options=read_file_options(section),
    )


def row_data(data: Section, study: Study) -> dict[str, Section]:
    """Find what is set for each row party: a section `data` with its values as `row`.

    Raises:
        StudyError: see `column_data`.
    """
    names = [terms.name for terms in study.row_parties]
    return _data_of(data, "row", names) if study.row.parties else {names[0]: data}


def column_data(data: Section, study: Study) -> dict[str, Section]:
    """Find what is set for each column party: a section `data` with its values as `column`.

    Where a study names several, any key may have a mapping by their names in place of a value.

    Raises:
        StudyError: the section or the key `column` is malformed, or a mapping lacks a party.
    """
    names = [terms.name for terms in study.column_parties]
    return _data_of(data, "column", names) if study.column.parties else {names[0]: data}


def _data_of(data: Section, role: Role, names: Sequence[str]) -> dict[str, Section]:
    """Part what is set for several parties of a side by their names."""
    side = data.child(role, SOURCE_KEYS)
    raw = {name: dict(side.raw) for name in names}
    for key in SOURCE_KEYS:
        value = side.get(key)
        if not isinstance(value, Mapping) or not set(value) & set(names):
            continue
        if set(value) != set(names):
            raise side.error(
                f"{key} names other parties than the study, whose {role} parties are "
                f"{', '.join(names)}",
                key,
                remedy="Give a value for each of them by its name",
            )
        for name in names:
            raw[name][key] = value[name]
    place = {"key": data.key, "origin": data.origin}
    return {
        name: Section({role: of_party}, **place, known=(role,)) for name, of_party in raw.items()
    }


def read_ledger(data: Section, role: str, default: Place = DEFAULT_LEDGER) -> Place:
    """Read where a party's ledger lies: an absolute path, or a database.

    Args:
        data: the section `data`.
        role: the party, `row` or `column`.
        default: the place where the configuration names none.

    Raises:
        StudyError: an unknown key, or a value of the wrong type; names the key.
        InputError: an address that cannot be a ledger's.
    """
    text = data.child(role, SOURCE_KEYS).text("ledger", str(default))
    return place_of(text, f"data.{role}.ledger").absolute()


def read_shared_ledger(top: Section, *, spends: bool) -> Place:
    """Read where the ledger of both parties lies, where one machine runs both.

    Args:
        top: the whole configuration.
        spends: whether anything is written into the ledger, which must be there then.

    Raises:
        StudyError: not a text.
        InputError: an address that cannot be a ledger's, or a ledger that is named and is not
            there.
    """
    named = top.optional_text("ledger")
    if named is None:
        return DEFAULT_LEDGER
    place = place_of(named).absolute()
    return _there(place, "the budget ledger", "ledger") if spends else place


def check_ledger(place: Place, role: str, default: Place = DEFAULT_LEDGER) -> Place:
    """Check that a ledger is there: of a name with a slip, a run would make another budget.

    Only the default is made by the first run.

    Raises:
        InputError: it is not there.
    """
    if place == default.absolute():
        return place
    return _there(place, f"the {role} party's budget ledger", f"data.{role}.ledger")


def _there(place: Place, what: str, key: str) -> Place:
    if place.exists():
        return place
    raise InputError(
        f"{what} does not exist",
        file=str(place),
        key=key,
        remedy=f"Make it once: {create_command(place)}",
    )


def read_options(top: Section, *, constant_time: bool = False) -> Options:
    """Read how to run a study.

    Args:
        top: the whole configuration.
        constant_time: whether encryption is in constant time where the configuration leaves it
            open.

    Raises:
        StudyError: an unknown or missing key, or a value of the wrong type; names the key.
    """
    defaults = Options()
    crypto = top.child("crypto", ("key_bits", "slot_bits", "constant_time"))
    replicas = top.child("replicas", ("row", "column"))
    return Options(
        key_bits=crypto.whole("key_bits", defaults.key_bits, least=1),
        slot_bits=_optional_whole(crypto, "slot_bits"),
        constant_time=crypto.flag("constant_time", constant_time),
        shards=top.whole("shards", defaults.shards, least=1),
        batch=cast(Batch, top.choice("batch", BATCHES, defaults.batch)),
        runtime="ray" if top.choice("runtime", ("ray", "local"), "ray") == "ray" else "local",
        replicas={
            role: replicas.whole(role, count, least=1) for role, count in defaults.replicas.items()
        },
        in_flight=top.whole("window", defaults.in_flight, least=1),
        cluster=read_cluster(top),
        memory=_optional_whole(top, "memory"),
        allow_no_noise=top.child("unsafe", ("allow_no_noise",)).flag("allow_no_noise", False),
    )


def _optional_whole(section: Section, name: str) -> int | None:
    return None if section.get(name) is None else section.whole(name, 0, least=1)
