"""Makes settings of the command line readable for Hydra, whose grammar knows few characters.

A value such as `date=2024-05-01/part-0.csv`, `データ/位置.csv` or `my table.csv` has no meaning
in that grammar unless it is quoted, once more than for the shell. Where a value can be meant as a
text only, the quotes are put around it here.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

from xstat_ray.errors import COMMAND_LINE, InputError

MULTIRUN = ("-m", "--multirun")
_TEXTS = re.compile(
    r"data\.(row|column)\.(path|ledger)|out|ledger|tables|figure"
    r"|domain\.(run|exchange|private|identity|peers\.\w+)|row|column|aggregator|columns\.\w+"
)
"""Settings that are texts whatever they look like, such as a folder 2024_05 or a key 12345e67."""
_NAMED = re.compile(r"domain\.peers\.(?!(row|column|aggregator)$)\w+|columns\.\w+")
"""Settings with a value for each column party by its name."""
_SETTING = re.compile(r"(?P<key>\+{0,2}[\w./@:$-]+)=(?P<value>.*)", re.DOTALL)
_OPEN = ("[", "{", "(", "'", '"', "${")


def readable(arguments: Sequence[str]) -> list[str]:
    """Put quotes around values that are texts and that Hydra would refuse or change.

    A `~` that begins a value is expanded, as shells do not do it behind `=`.

    Args:
        arguments: what stands behind the name of the job.

    Raises:
        InputError: a list of values where several runs were not asked for.
    """
    several = any(argument in MULTIRUN for argument in arguments)
    parser = OverridesParser.create()
    # What follows an option such as --config-dir is its value.
    return [
        argument
        if before.startswith("-") and "=" not in before and before not in MULTIRUN
        else _readable(argument, several, parser)
        for before, argument in pairwise(["", *arguments])
    ]


def is_text(key: str) -> bool:
    """Whether a setting is a text whatever it looks like."""
    return _TEXTS.fullmatch(key.lstrip("+")) is not None


def typed(key: str, value: str) -> str:
    """Write a setting as a person types it in a shell, its value quoted for Hydra too."""
    return shlex.quote(f"{key}={quoted(value)}")


def quoted(value: str) -> str:
    """Write a text as Hydra takes it literally, but for `${...}`."""
    escaped = re.sub(r'(\\*)"', r'\1\1\\"', value)
    trailing = re.search(r"\\*$", escaped)
    return f'"{escaped}{trailing[0] if trailing else ""}"'


def _readable(argument: str, several: bool, parser: OverridesParser) -> str:
    found = _SETTING.fullmatch(argument)
    if argument.startswith(("-", "~")) or found is None:
        return argument
    key = found["key"]
    value = found["value"]
    if value[:1] == "~":
        with suppress(RuntimeError):
            value = str(Path(value).expanduser())
    if _NAMED.fullmatch(key):
        # Column parties have the names that the study gives them, which no file of settings has.
        key = f"++{key}"
    override = _parsed(f"{key}={value}", parser)
    if override is None:
        return f"{key}={_as_text(value, several, parser)}"
    if override.is_sweep_override() and not several:
        raise _is_list(key, value)
    if is_text(key) and isinstance(override.value(), int | float):
        value = quoted(value)
    return f"{key}={value}"


def _parsed(setting: str, parser: OverridesParser) -> Override | None:
    try:
        return parser.parse_override(setting)
    except HydraException:
        return None


def _as_text(value: str, several: bool, parser: OverridesParser) -> str:
    """Quote a value that cannot be read, or the parts of a list that cannot; else leave it."""
    if value.startswith("[") and value.endswith("]"):
        inner = value[1:-1]
        return value if _has_quotes(inner) else f"[{_parts(inner, parser)}]"
    if value.startswith(_OPEN):
        return value
    return _parts(value, parser) if several and "," in value else quoted(value)


def _parts(value: str, parser: OverridesParser) -> str:
    parts = (part.strip() for part in value.split(","))
    return ",".join(part if _parsed(f"x={part}", parser) else quoted(part) for part in parts)


def _has_quotes(value: str) -> bool:
    return any(mark in value for mark in ("'", '"', "[", "{"))


def _is_list(key: str, value: str) -> InputError:
    return InputError(
        "several values are given, and one run was asked for",
        file=COMMAND_LINE,
        key=key.lstrip("+"),
        remedy=f"Write {typed(key, value)} if it is one text, {shlex.quote(f'{key}=[{value}]')} if "
        "it is a list, and add --multirun for a run of each",
    )
