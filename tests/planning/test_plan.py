"""The plan's figures follow from the study, and what cannot be run safely is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from math import isqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.synthetic import make_study
from xstat_ray.crypto.kernels import choice
from xstat_ray.crypto.packing import FREE_BITS, SUM_FREE_BITS
from xstat_ray.errors import PlanError
from xstat_ray.model.dimension import Dimension
from xstat_ray.model.study import Bounds, Privacy
from xstat_ray.planning.limits import MAX_COEFFICIENTS
from xstat_ray.planning.plan import make_plan

STUDY = replace(make_study(), privacy=Privacy(epsilon=Fraction(1, 3)))


def test_the_figures_follow_from_the_study():
    plan = make_plan(STUDY, key_bits=3072, shards=72)
    assert (STUDY.cells, STUDY.slots, STUDY.window_periods) == (12, 8, 4)
    assert plan.coefficients == 96 and plan.ciphertext_bytes == 768
    assert plan.max_flags == 100 * 2 * 4
    assert (
        plan.table_ciphertexts == 12 * plan.packing.blocks
        and plan.table_bytes == plan.table_ciphertexts * 768
    )
    assert plan.mechanism.l1 == 1 * 2 * 4 and plan.mechanism.l2_squared == 1 * 8
    assert plan.mechanism.scale == pytest.approx(24)
    assert len(plan.grid.batches) == 36 and len(plan.grid.regions) == 2


def test_each_column_party_has_a_table_of_its_own_with_room_for_sums_of_residues():
    bounds = {"boardings": 2, "persons": 50}
    parties = [{"name": name, **bounds} for name in ("jal", "hac", "ado")]
    several = replace(make_study(parties=parties), privacy=STUDY.privacy)
    plan = make_plan(several, key_bits=2048)
    packing = plan.packing
    assert plan.keys == 3 and make_plan(STUDY).keys == 1
    assert plan.table_ciphertexts == 12 * packing.blocks
    assert plan.table_bytes == 3 * plan.table_ciphertexts * 512
    assert packing.width * packing.per_block <= 2047 - SUM_FREE_BITS
    assert plan.as_dict()["table_ciphertexts"] == 3 * plan.table_ciphertexts
    assert "under each of 3 keys" in dict(plan.rows())["Ciphertexts"]
    assert "with which of the column parties" in plan.as_dict()["view"]["warning"]
    one = make_plan(replace(STUDY, bounds=several.bounds), key_bits=2048)
    assert "Set privacy.padding=dp" in one.as_dict()["view"]["warning"]
    assert "under each" not in dict(one.rows())["Ciphertexts"]
    people = 10**6
    extra = plan.seconds(1, row_persons=people) - plan.seconds(1)
    assert extra == pytest.approx(3 * (one.seconds(1, row_persons=people) - one.seconds(1)))


@given(
    st.sampled_from([2048, 3072, 4096]),
    st.integers(1, 500),
    st.integers(1, 10**6),
    st.fractions(Fraction(1, 100), 10),
)
def test_no_count_with_noise_reaches_the_next_slot(key_bits, shards, persons, epsilon):
    study = replace(STUDY, bounds=Bounds(persons=persons), privacy=Privacy(epsilon=epsilon))
    plan = make_plan(study, key_bits=key_bits, shards=shards)
    tail = plan.noise.largest
    assert plan.packing.offset >= tail
    assert study.max_count + plan.packing.offset + tail < 1 << plan.packing.slot_bits
    assert plan.packing.per_block * plan.packing.slot_bits < key_bits - FREE_BITS
    assert len(plan.grid.shards) >= min(shards, STUDY.cells * 36)


def test_the_plan_as_json_is_complete_and_depends_on_the_study_alone():
    plan = make_plan(STUDY, shards=4)
    text = json.dumps(plan.as_dict())
    assert json.loads(text) == plan.as_dict()
    assert plan.as_dict() == make_plan(STUDY, shards=4).as_dict()
    assert (
        plan.as_dict()["epsilon"] == "1/3" and plan.as_dict()["study_digest"] == STUDY.digest.hex()
    )
    nested = {
        *("bounds", "insiders", "measured", "one_person", "period", "stderr", "title"),
        *("memory", "tree_shape", "view"),
    }
    # Scalars, the public bounds and a line for each level only: nothing in it has the length of a
    # table.
    assert all(
        isinstance(value, str | int | float)
        for key, value in plan.as_dict().items()
        if key not in nested
    )
    bounds = {"rows": 1, "boardings": 2, "per_column": 1, "persons": 100}
    assert plan.as_dict()["bounds"] == bounds


@given(st.integers(1, 64), st.integers(1, 64))
def test_more_cores_never_take_longer(cores, more):
    plan = make_plan(STUDY)
    assert plan.seconds(cores + more) < plan.seconds(cores)


def test_the_time_is_that_of_the_kernel_in_use(monkeypatch):
    study = replace(STUDY, bounds=Bounds(persons=10**6))
    seconds = {}
    for kernel in ("", "portable"):
        monkeypatch.setenv("XSTAT_KERNEL", kernel)
        plan = make_plan(study)
        careful = make_plan(study, constant_time=True)
        assert plan.as_dict()["kernel"] == plan.kernel == choice.kernel().name
        assert (plan.as_dict()["constant_time"], careful.as_dict()["constant_time"]) == (
            False,
            True,
        )
        assert plan.seconds(2) < careful.seconds(2)
        seconds[plan.kernel] = plan.seconds(2)
    if "ifma" in seconds:
        assert seconds["ifma"] < seconds["portable"] / 3


@pytest.mark.parametrize(
    ("key_bits", "problem"),
    [(1024, "too small"), (0, "too small"), (2049, "not supported"), (8192, "not supported")],
)
def test_a_key_of_another_size_is_refused(key_bits, problem):
    with pytest.raises(PlanError, match=problem) as caught:
        make_plan(STUDY, key_bits=key_bits)
    assert caught.value.key == "crypto.key_bits" and caught.value.remedy


@pytest.mark.parametrize("shards", [0, -3])
def test_no_shards_are_refused(shards):
    with pytest.raises(PlanError) as caught:
        make_plan(STUDY, shards=shards)
    assert caught.value.key == "shards"


def test_a_slot_that_could_overflow_is_refused_and_the_least_that_cannot_is_taken():
    needed = make_plan(STUDY).packing.slot_bits
    assert make_plan(STUDY, slot_bits=needed).packing == make_plan(STUDY).packing
    with pytest.raises(PlanError, match=f"could overflow a slot of {needed - 1} bits") as caught:
        make_plan(STUDY, slot_bits=needed - 1)
    assert caught.value.key == "crypto.slot_bits"


def test_a_table_beyond_any_purpose_is_refused():
    labels = tuple(map(str, range(isqrt(MAX_COEFFICIENTS // 8) + 1)))
    wide = [Dimension(name, name, labels, tuple((label,) for label in labels[:1])) for name in "ab"]
    with pytest.raises(PlanError, match="entries, more than") as caught:
        make_plan(replace(STUDY, row=replace(STUDY.row, dimensions=tuple(wide))))
    assert caught.value.key == "study"


def test_laplace_noise_that_may_cost_no_delta_is_refused():
    pure = replace(STUDY, privacy=Privacy(delta=Fraction(0)))
    with pytest.raises(
        PlanError, match=r"costs a delta of [0-9.]+e-1\d here, and the study declares none"
    ) as caught:
        make_plan(pure)
    assert caught.value.key == "privacy.delta" and "privacy.delta=1e-9" in caught.value.remedy


def test_bounds_that_no_slot_can_hold_are_refused():
    with pytest.raises(PlanError, match="a count needs") as caught:
        make_plan(replace(STUDY, bounds=Bounds(persons=2**80)))
    assert caught.value.key == "study.bounds"
