"""The key holder, also one of bad faith, reads nothing of who matched, nor of the counts.

It has its key, which it made as it likes, everything that it was given, and the published table. A
coin says of each of its people whether they are in the other table.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.adversary import marks
from tests.adversary.deployments import (
    DEPLOYMENTS,
    READER,
    OneProcess,
    ThreeDomains,
    options_of,
    played_as_far_as_it_goes,
)
from tests.adversary.marks import Mark
from tests.adversary.matching import Naming, learnt
from tests.adversary.people import People, mixed
from tests.adversary.planted import masks
from tests.adversary.recorder import Thing
from tests.case import study, use_key
from tests.sizes import first, slow, thorough
from xstat_ray.crypto import masking
from xstat_ray.crypto.paillier import PrivateKey
from xstat_ray.federation import mailbox, sealed

AREAS = ("a", "b", "c", "d")
STUDY = study(noise="laplace", areas=AREAS, privacy={"epsilon": "1/10"})


def marked(
    people: People, key: PrivateKey, mark: Mark, folder: Path, patch: pytest.MonkeyPatch
) -> tuple[list[Thing], str]:
    """Play the protocol with a key holder that marks its flags.

    Returns:
        All that it had, and why the row party refused what was opened, if it did.
    """
    use_key(key, patch.setattr)
    marks.mark_flags(patch, mark)
    tables = people.tables(area=AREAS)
    record, refused = played_as_far_as_it_goes(STUDY, tables, folder, "column")
    return record.of("column"), refused


def named(things: list[Thing], key: PrivateKey, people: People) -> tuple[Naming | None, bool]:
    """The best that the key holder can say about who matched, and whether it is beyond chance."""
    packing = options_of(Path()).plan(STUDY).packing
    persons = [person.encode() for person in people.column]
    return learnt(marks.namings(things, key, packing, persons), people.both)


@thorough
@pytest.mark.parametrize("least", first(1, [masking._PAYS, 0]))
def test_a_key_of_bad_faith_shows_nobody(least, tmp_path, paillier_key, monkeypatch):
    """H is -1, so that whatever others multiply with leaves marks in the randomness as they are.

    Masks are made one by one, or of fixed residues as those of large tables.
    """
    monkeypatch.setattr(masking, "_PAYS", least)
    people = mixed(1)
    key = marks.bad_key(paillier_key)
    things, refused = marked(people, key, marks.in_the_randomness, tmp_path, monkeypatch)
    assert refused == ""
    best, beaten = named(things, key, people)
    assert best is not None and not beaten


@thorough
@pytest.mark.parametrize("leak", first(1, [masks.with_powers_of_h, masks.left_out]))
def test_with_masks_of_less_randomness_it_names_everybody(
    leak, tmp_path, paillier_key, monkeypatch
):
    leak(monkeypatch)
    people = mixed(1)
    key = marks.bad_key(paillier_key)
    things, _ = marked(people, key, marks.in_the_randomness, tmp_path, monkeypatch)
    best, beaten = named(things, key, people)
    assert beaten and best.named == people.both


@thorough
def test_marks_above_the_slots_show_nobody_and_are_refused(tmp_path, paillier_key, monkeypatch):
    people = mixed(2)
    things, refused = marked(people, paillier_key, marks.above_the_slots, tmp_path, monkeypatch)
    assert "decrypted number" in refused
    best, beaten = named(things, paillier_key, people)
    assert best is not None and not beaten


@thorough
def test_without_masks_marks_above_the_slots_name_everybody(tmp_path, paillier_key, monkeypatch):
    masks.left_out(monkeypatch)
    people = mixed(2)
    things, _ = marked(people, paillier_key, marks.above_the_slots, tmp_path, monkeypatch)
    best, beaten = named(things, paillier_key, people)
    assert beaten and best.named == people.both


def read(deployment: OneProcess, folder: Path, key: PrivateKey) -> int:
    """How many counts the key holder can read, in what it was given and in what lies about."""
    ran = deployment.run(STUDY, mixed(3).tables(area=AREAS), folder)
    things = [*ran.of("column"), *ran.record.of(READER)]
    found = [*marks.tables(things, key), *marks.tables_in_messages(things, STUDY, key)]
    assert found
    return marks.plain(found, key)


@pytest.mark.parametrize("deployment", first(1, DEPLOYMENTS, slow))
def test_nothing_that_it_can_decrypt_is_a_count(deployment, tmp_path, paillier_key):
    assert read(deployment, tmp_path, paillier_key) == 0


@pytest.mark.parametrize("deployment", first(1, DEPLOYMENTS, slow))
def test_without_masks_it_decrypts_every_count(deployment, tmp_path, paillier_key, monkeypatch):
    masks.left_out(monkeypatch)
    assert read(deployment, tmp_path, paillier_key) >= len(AREAS)


@slow
@pytest.mark.parametrize("kind", ["rerandomised", "masks"])
def test_what_is_sealed_from_it_would_be_enough(kind, tmp_path, paillier_key, monkeypatch):
    monkeypatch.setattr(mailbox, "SEALED", sealed.SEALED - {kind})
    assert read(ThreeDomains(), tmp_path, paillier_key) >= len(AREAS)
