"""De-identification: who is left out; neither ids nor the key travel."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tests.hokkaido.population.operator import Operator, declare
from xstat_ray.errors import InputError
from xstat_ray.hokkaido.population.presence import HourStays, SubscriberDays
from xstat_ray.hokkaido.population.register import read_register
from xstat_ray.hokkaido.population.subscribers import (
    Intake,
    Pseudonyms,
    Subscribers,
    SubscriberTables,
    open_subscribers,
)
from xstat_ray.hokkaido.population.sums import Sparse
from xstat_ray.inputs.table_options import TableOptions


def intake(operator: Operator, folder: Path) -> tuple[Intake, Subscribers]:
    """Take in the operator's subscribers."""
    tables = operator.write(folder)
    Pseudonyms.draw_key(folder / "key")
    made = Intake(declare(), read_register(tables.register), Pseudonyms(folder / "key", declare()))
    return made, made.take(SubscriberTables(open_subscribers(tables.subscribers), tables.excluded))


def operator_with(*subscribers: dict[str, Any]) -> Operator:
    """Make an operator of one usable subscriber and some more."""
    operator = Operator()
    operator.residents("01206", "female", "40-44", 10)
    operator.add_subscriber()
    for changes in subscribers:
        operator.add_subscriber(**changes)
    return operator


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"age": 14}, "outside_ages"),
        ({"age": 80}, "outside_ages"),
        ({"birth_year": None}, "outside_ages"),
        ({"corporate": True}, "corporate"),
        ({"corporate": None}, "corporate"),
        ({"sex": None}, "without_class"),
        ({"sex": "other"}, "without_class"),
        ({"home": "99999"}, "without_class"),
        ({"subscriber": "12"}, "invalid_id"),
        ({"age": 15}, "used"),
        ({"age": 79}, "used"),
    ],
)
def test_each_line_is_left_out_for_its_reason(tmp_path, changes, reason):
    made, subscribers = intake(operator_with(changes), tmp_path)
    counts = made.counts.as_dict()
    assert counts == dict.fromkeys(counts, 0) | {"lines": 2, "used": 1} | {
        reason: 1 + (reason == "used")
    }
    assert len(subscribers.codes) == counts["used"]


def test_opt_outs_are_known_in_any_spelling(tmp_path):
    operator = operator_with({})
    operator.excluded = ["090-0000-0001"]
    made, subscribers = intake(operator, tmp_path)
    assert made.counts.opted_out == 1 and len(subscribers.codes) == 1


def test_a_table_without_a_usable_line_is_refused(tmp_path):
    operator = operator_with()
    operator.subscribers[0]["corporate"] = True
    with pytest.raises(InputError, match="no subscriber can be used"):
        intake(operator, tmp_path)


def test_codes_are_of_one_release_only(tmp_path):
    ids = pa.array(["+819000000000", "090-0000-0000", "bad", None])
    codes = []
    for number in range(2):
        Pseudonyms.draw_key(tmp_path / str(number))
        assert (tmp_path / str(number)).stat().st_mode & 0o777 == 0o600
        made, valid = Pseudonyms(tmp_path / str(number), declare()).codes(ids)
        assert valid.tolist() == [True, True, False, False]
        assert made[0] == made[1] and len(made[0]) > 12 and made[2] == made[3] == b""
        codes.append(made[0])
    assert codes[0] != codes[1]


def test_what_is_private_refuses_to_travel(tmp_path):
    Pseudonyms.draw_key(tmp_path / "key")
    none = np.zeros(0, np.int64)
    private = [
        Pseudonyms(tmp_path / "key", declare()),
        Subscribers(np.zeros(0, "S16"), none),
        SubscriberDays(1),
        Sparse(none, none),
    ]
    for secret in [*private, HourStays(none, none, none, none, none)]:
        with pytest.raises(TypeError, match="refuses to travel"):
            pickle.dumps(secret)
        assert "redacted" in repr(secret)


@pytest.mark.parametrize("count", [False, True])
def test_an_opt_out_that_cannot_be_read_ends_the_run_or_is_counted(tmp_path, count):
    operator = operator_with({})
    operator.excluded = ["9.0E+10", "090-0000-0001"]
    tables = operator.write(tmp_path)
    Pseudonyms.draw_key(tmp_path / "key")
    made = Intake(
        declare(), read_register(tables.register), Pseudonyms(tmp_path / "key", declare())
    )
    opened = open_subscribers(tables.subscribers)
    given = SubscriberTables(opened, tables.excluded, count_unreadable=count)
    if count:
        assert len(made.take(given).codes) == 1
        assert (made.counts.opted_out, made.counts.unreadable_opt_outs) == (1, 1)
        return
    with pytest.raises(InputError, match="nobody knows whom it means.*data.unreadable=count"):
        made.take(given)


def test_the_operator_s_files_are_read_by_its_settings(tmp_path):
    operator = operator_with({})
    operator.excluded = ["090-0000-0001"]
    tables = operator.write(tmp_path)
    (listed,) = tables.excluded
    text = "subscriber;note\n090-0000-0001;\u91e7\n".encode("cp932")
    Path(listed).with_suffix(".bin").write_bytes(text)
    options = TableOptions("cp932", "csv", "semicolon")
    Pseudonyms.draw_key(tmp_path / "key")
    made = Intake(
        declare(), read_register(tables.register), Pseudonyms(tmp_path / "key", declare())
    )
    opened = open_subscribers(tables.subscribers, options)
    made.take(SubscriberTables(opened, (Path(listed).with_suffix(".bin"),), options))
    assert made.counts.opted_out == 1
