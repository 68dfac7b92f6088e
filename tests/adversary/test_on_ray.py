"""On a Ray cluster, where the driver can read whatever it has a handle on, as in one process."""

from __future__ import annotations

import pytest

from tests.adversary.deployments import ON_RAY
from tests.adversary.dictionary import recognised
from tests.adversary.matching import learnt, namings
from tests.adversary.people import bytes_of, mixed
from tests.case import study

pytestmark = [pytest.mark.ray, pytest.mark.thorough]
STUDY = study(noise="laplace")


def test_nobody_learns_who_matched_or_who_is_there(ray_folder, tmp_path):
    people = mixed(6)
    ran = ON_RAY.run(STUDY, people.tables(), tmp_path)
    for role in ("row", "column"):
        things = ran.of(role)
        assert recognised(things, bytes_of(people.row[:6] + people.column[:6])) >= people.of(
            role
        ) & set(bytes_of(people.row[:6]))
        assert not learnt(namings(things, people.of(role)), people.both)[1]
    asked = bytes_of(people.row[:6] + people.column[:6])
    assert recognised(ran.of(*ON_RAY.counters), asked) == set()
