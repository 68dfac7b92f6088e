"""Where a ledger may lie: a file on a disk of this host, or a database whose address holds no password."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from xstat_ray.errors import InputError
from xstat_ray.privacy.database import Database
from xstat_ray.privacy.ledger import Ledger
from xstat_ray.privacy.places import argument, create_command, place_of
from xstat_ray.util import mounts

CANARY = "hunter2-5b71"


@pytest.mark.parametrize(
    ("text", "host", "port", "user", "name", "schema"),
    [
        ("postgresql://", None, None, None, None, "xstat_ray"),
        ("postgresql://db.example", "db.example", None, None, None, "xstat_ray"),
        ("postgres://runs@db:5433/budget?schema=air", "db", "5433", "runs", "budget", "air"),
        ("POSTGRESQL://%2Frun%2Fpg:1/b", "/run/pg", "1", None, "b", "xstat_ray"),
        ("postgresql://r@[2001:db8::1]:1,two/b", "2001:db8::1,two", "1,", "r", "b", "xstat_ray"),
        ("postgresql://r%40x@/%E5%AE%B6?host=h", "h", None, "r@x", "家", "xstat_ray"),
    ],
)
def test_an_address_is_taken_apart(text, host, port, user, name, schema):
    place = place_of(text)
    assert isinstance(place, Database)
    found = [place.parameters.get(key) for key in ("host", "port", "user", "dbname")]
    assert found == [host, port, user, name]
    assert place.schema == schema
    assert "schema" not in place.parameters
    assert str(place) == text
    assert pickle.loads(pickle.dumps(place)) == place.absolute() == place


def test_what_an_address_leaves_open_is_set_for_many_hosts():
    assert place_of("postgresql://h/b").parameters["target_session_attrs"] == "read-write"
    assert place_of("postgresql://h/b?connect_timeout=3").parameters["connect_timeout"] == "3"


@pytest.mark.parametrize(
    "text",
    [
        f"postgresql://runs:{CANARY}@db/budget",
        f"postgres://:{CANARY}@db/budget",
        f"postgresql://runs:{CANARY}/x@db/budget",
        f"postgresql://runs:{CANARY}#?@db/budget",
        f"postgresql://runs:a@{CANARY}@db/budget",
        f"postgresql://runs@db/budget?password={CANARY}",
        f"postgresql://runs@db/budget?sslmode=require&sslpassword={CANARY}",
        f"postgresql://runs@db/budget?PASSWORD={CANARY}",
    ],
)
def test_an_address_with_a_password_is_refused_and_not_shown(text):
    with pytest.raises(InputError, match=r"holds a password\. Leave it out.*\.pgpass") as caught:
        place_of(text)
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"postgresql://db/budget?options=-c%20{CANARY}", "a parameter that is not known"),
        (f"postgresql://db/budget?{CANARY}", "a parameter that is not known"),
        (f"postgresql://db/budget#{CANARY}", "cannot be read"),
        (f"postgresql://db/budget/{CANARY}", "cannot be read"),
        (f"postgresql://db:{CANARY}/budget", "cannot be read"),
        (f"postgresql://db/budget?schema={CANARY}", "is no plain name"),
        ('postgresql://db/b?schema=a"b', "cannot be read"),
        ("postgresql://db/b?schema=a%22b", "is no plain name"),
    ],
)
def test_what_cannot_be_read_is_not_shown(text, said):
    with pytest.raises(InputError, match=said) as caught:
        place_of(text)
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "s3://bucket/ledger",
        "mysql://h/b",
        "sqlite:///x.sqlite",
        "file:///x",
        "postgresql+psycopg://h/b",
        "gs:/x",
    ],
)
def test_other_addresses_are_refused(text):
    scheme = text.partition(":")[0].replace("+", r"\+")
    with pytest.raises(
        InputError, match=f"cannot lie at .* begins with {scheme}:.*data.row.ledger"
    ):
        place_of(text, "data.row.ledger")


def test_anything_else_is_a_file(tmp_path):
    for text in ("ledger.sqlite", "/private/a:b.sqlite", "postgresql", "家/台帳"):
        assert place_of(text) == Path(text)


def test_one_place_has_one_shortest_address_whoever_comes():
    one = place_of("postgresql://runs@db:5432/budget?schema=air&sslmode=require")
    other = place_of("postgres://show@db:5432/budget?schema=air&application_name=x")
    assert one != other
    assert one.resolve() == other.resolve() == one.resolve().resolve()
    assert one.resolve() != place_of("postgresql://runs@db:5432/budget").resolve()
    assert place_of("postgresql://").resolve().schema == "xstat_ray"


def test_commands_can_be_typed_as_they_are_shown(tmp_path):
    place = place_of("postgresql://runs@db/b?schema=air")
    assert argument(place) == "\"ledger='postgresql://runs@db/b?schema=air'\""
    assert create_command(place).endswith(f"{argument(place)} writer=ROLE")
    assert create_command(tmp_path / "a b") == f"xstat-ray budget create 'ledger={tmp_path}/a b'"


def test_a_file_on_a_network_file_system_is_refused_with_what_to_do(tmp_path, monkeypatch):
    table = tmp_path / "mountinfo"
    table.write_text(f"40 27 0:9 / {tmp_path}/shared rw - nfs4 server:/x rw\n")
    monkeypatch.setattr(mounts, "MOUNTS", table)
    path = tmp_path / "shared" / "new" / "ledger.sqlite"
    with pytest.raises(InputError, match=r"network file system \(nfs4\).*local disk .* PostgreSQL"):
        Ledger(path)
    assert not path.parent.exists()
    Ledger(tmp_path / "ledger.sqlite")


def test_a_missing_driver_is_named_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "psycopg", None)
    for look in (Database.exists, Ledger):
        with pytest.raises(InputError, match=r"pip install 'xstat-ray\[postgresql\]'"):
            look(place_of("postgresql://db/b"))
