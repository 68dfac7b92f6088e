"""Secrets refuse to travel and print redacted, in whatever way they are asked."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from xstat_ray.util.secrecy import Secret, without_passwords


@dataclass(frozen=True, repr=False)
class Key(Secret):
    """A secret as a dataclass."""

    value: int = 48_611


class Slotted(Secret):
    """A secret without a dictionary."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 48_611


@pytest.mark.parametrize("make", [Key, Slotted])
@pytest.mark.parametrize(
    "send", [pickle.dumps, copy.copy, copy.deepcopy, lambda secret: pickle.dumps([{"k": secret}])]
)
def test_a_secret_refuses_to_travel(
    make: Callable[[], Secret], send: Callable[[Secret], object]
) -> None:
    with pytest.raises(TypeError, match="holds a secret and refuses to travel"):
        send(make())


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_no_protocol_of_pickle_takes_a_secret(protocol: int) -> None:
    with pytest.raises(TypeError, match="refuses to travel"):
        pickle.dumps(Key(), protocol)


@pytest.mark.parametrize("make", [Key, Slotted])
@pytest.mark.parametrize("show", [repr, str, "{}".format, "{!r}".format, lambda s: repr([s])])
def test_a_secret_prints_redacted(
    make: Callable[[], Secret], show: Callable[[Secret], str]
) -> None:
    text = show(make())
    assert "redacted" in text
    assert "48611" not in text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("ledger=postgresql://u:hunter2@h/b", "ledger=postgresql://u:***@h/b"),
        ("'postgresql://u:hun=ter2/?#@h/b' and\nno more", "'postgresql://u:***@h/b' and\nno more"),
        ("s3://key:hun@ter2@bucket", "s3://key:***@bucket"),
        ("postgresql://h/b?password=hunter2&x=1", "postgresql://h/b?password=***&x=1"),
        (
            "postgresql://u@h:5432/b and /a/path:with@signs",
            "postgresql://u@h:5432/b and /a/path:with@signs",
        ),
        ("a release of https://host:80/x", "a release of https://host:80/x"),
    ],
)
def test_passwords_of_addresses_are_not_shown(text: str, shown: str) -> None:
    assert without_passwords(text) == shown
