"""What a collaboration says, in both languages, and what its digest covers."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from fractions import Fraction

import pytest

from tests.case import HOURS, study
from xstat_ray import Options
from xstat_ray.federation.approve import collaboration_of
from xstat_ray.federation.collaboration import Collaboration
from xstat_ray.federation.collaboration_page import page
from xstat_ray.federation.envelope import canonical
from xstat_ray.federation.identity import DOMAINS
from xstat_ray.federation.lessons import LANGUAGES, lessons
from xstat_ray.federation.party_facts import debit_of
from xstat_ray.model.study import Study
from xstat_ray.planning.plan import Plan
from xstat_ray.privacy.rounding import readable

KEYS = {name: bytes([number]) * 32 for number, name in enumerate(DOMAINS)}
OPTIONS = Options(key_bits=2048, shards=2, allow_no_noise=True)
PADDED = {"padding": "dp", "view": {"epsilon": "1/3", "delta": "1e-7"}}


def plan_of(noise: str = "laplace", **fields: object) -> Plan:
    privacy = {"delta": "1e-6", **fields.pop("privacy", {})}
    return OPTIONS.plan(study(noise=noise, privacy=privacy, **fields))


def made(plan: Plan, run: str = "run") -> Collaboration:
    return collaboration_of(plan, run, KEYS)


def test_the_digest_covers_study_plan_run_and_keys():
    plan = plan_of()
    others = [
        made(plan),
        made(plan, "another"),
        made(plan_of(privacy={"epsilon": 2})),
        made(plan_of(privacy={"cap": 11})),
        made(plan_of(areas=("a", "c"))),
        made(replace(OPTIONS, key_bits=3072).plan(plan.study)),
        collaboration_of(plan, "run", {**KEYS, "row": bytes(31) + b"x"}),
    ]
    assert len({other.digest for other in others}) == len(others)
    assert made(plan_of()).digest == made(plan).digest


def test_a_file_that_was_written_and_read_has_the_same_digest():
    collaboration = made(plan_of(period=HOURS, row={"time": "at"}, column={"time": "at"}))
    read = json.loads(collaboration.encode())
    assert Collaboration(read).digest == collaboration.digest
    assert collaboration.differing(read) == []
    assert canonical(read) == collaboration.encode()


def test_differences_are_named():
    plan = plan_of()
    other = json.loads(made(plan, "another").encode())
    other["domains"]["row"]["budget"]["cap"] = "11"
    other["learns"]["row"]["en"][0] = "nothing"
    del other["study"]["title"]
    assert made(plan).differing(other) == [
        *("domains.row.budget.cap", "learns.row.en", "run", "study.title"),
    ]
    assert made(plan).differing({}) == sorted(made(plan).content)


@pytest.mark.parametrize("noise", ["laplace", "gaussian", "off"])
def test_budgets_are_what_each_party_debits(noise: str):
    plan = plan_of(noise, privacy=PADDED)
    domains = made(plan).content["domains"]
    assert "budget" not in domains["aggregator"]
    for role in ("row", "column"):
        budget = domains[role]["budget"]
        debit = debit_of(plan, role, "00" * 16)
        expected = debit or {"epsilon": "0", "delta": "0", "rho": "0"}
        assert budget["release"] == {key: expected[key] for key in ("epsilon", "delta", "rho")}
        assert (budget["cap"], budget["view"]) == ("10", {"epsilon": "1/3", "delta": "1/10000000"})
        assert domains[role]["dataset"] == f"small/{role}"


def test_it_says_nothing_of_the_labels_of_a_study():
    """The exchange holds it, and whoever reads that is to find no place."""
    named = study(areas=("Kushiro", "Nemuro"))
    content = made(OPTIONS.plan(named)).encode().decode()
    assert "Kushiro" not in content
    assert '"rows":{"area":2}' in content


@pytest.mark.parametrize("noise", ["laplace", "gaussian", "off"])
@pytest.mark.parametrize("privacy", [PADDED, {"padding": "off"}])
def test_both_languages_say_the_same_numbers(noise: str, privacy: dict[str, object]):
    for words in lessons(plan_of(noise, privacy=privacy)).values():
        assert words.keys() == {*LANGUAGES}
        numbers = {
            language: [re.findall(r"[0-9][0-9./e-]*", sentence) for sentence in words[language]]
            for language in LANGUAGES
        }
        assert numbers["en"] == numbers["ja"]
        assert all(re.search("[\u3040-\u30ff\u4e00-\u9fff]", line) for line in words["ja"])
        assert all(line.isascii() for line in words["en"])


def test_what_figures_tell_of_a_person_is_what_the_plan_computes():
    plan = plan_of("gaussian")
    told = lessons(plan)
    assert plan.insiders.towards["row"] != plan.insiders.towards["public"]
    for learner, held in plan.insiders.towards.items():
        (sentence,) = [line for line in told[learner]["en"] if "all published figures" in line]
        found = re.search(r"epsilon ([0-9./]+), delta ([0-9.e-]+)", sentence)
        assert Fraction(found[1]) == pytest.approx(held.epsilon, abs=1e-6)
        assert float(found[2]) == pytest.approx(float(held.delta), rel=1e-2)


def test_the_aggregator_is_told_what_figures_and_view_tell_it_together():
    plan = plan_of(privacy=PADDED)
    held = plan.insiders.with_view
    assert held is not None
    (sentence,) = [line for line in lessons(plan)["aggregator"]["en"] if "both together" in line]
    assert f"epsilon {held.epsilon}, delta {float(held.delta):.3g}" in sentence
    unpadded = lessons(plan_of(privacy={"padding": "off"}))
    assert not any("both together" in line for line in unpadded["aggregator"]["en"])


def test_budgets_are_written_for_people():
    text = page(made(plan_of("gaussian", privacy=PADDED)), [], "en")
    assert re.search(r"small/row: cap epsilon 10; this release epsilon 1, delta 1e-06, rho 0", text)
    assert "; the aggregator's view epsilon 1/3, delta 1e-07\n" in text
    unnoised = page(made(plan_of("off", privacy={"padding": "off"})), [], "en")
    assert "small/row: cap epsilon 10; this release epsilon 0\n" in unnoised


def test_what_is_off_is_said():
    told = lessons(plan_of("off", privacy={"padding": "off"}))
    for learner in told.keys() - {"exchange"}:
        assert any("NOISE IS OFF" in line for line in told[learner]["en"])
        assert any("ノイズなし" in line for line in told[learner]["ja"])
    assert any("PADDING IS OFF" in line for line in told["aggregator"]["en"])
    padded = lessons(plan_of(privacy=PADDED))
    assert not any("OFF" in line for words in padded.values() for line in words["en"])
    assert any("epsilon 1/3, delta 1e-07" in line for line in padded["aggregator"]["ja"])


def test_sums_are_named_with_their_bounds():
    measures = [
        {"name": "fare", "low": 0, "high": 60000, "unit": "JPY"},
        {"name": "points", "high": 9},
    ]
    measured = made(plan_of(column={"measures": [{"low": 0, **of} for of in measures]}))
    assert measured.content["study"]["measures"] == {"fare": "0..60000 JPY", "points": "0..9"}
    assert "Sums and means: fare 0..60000 JPY, points 0..9" in page(measured, [], "en")
    assert "合計と平均: fare" in page(measured, [], "ja")


def test_the_page_tells_all_of_it():
    titled: Study = replace(study(noise="laplace"), title={"en": "Counts", "ja": "集計表"})
    collaboration = made(OPTIONS.plan(titled))
    english, japanese = (page(collaboration, [], language) for language in ("en", "ja"))
    for text, title, approved in (
        (english, "Counts", "Approved by: nobody yet"),
        (japanese, "集計表", "承認済み: まだなし"),
    ):
        assert title in text
        assert approved in text
        assert text.endswith(collaboration.digest)
        for name in DOMAINS:
            assert KEYS[name].hex() in text
        for value in (
            titled.digest.hex(),
            "small/row",
            "small/column",
            f"persons {titled.bounds.persons}",
        ):
            assert value in text, value
    for learner, words in collaboration.content["learns"].items():
        for language, text in (("en", english), ("ja", japanese)):
            assert all(sentence in text for sentence in words[language]), learner
    assert "Approved by: row party, aggregator" in page(collaboration, ["row", "aggregator"], "en")


def test_each_of_several_row_parties_is_told_what_it_learns() -> None:
    names = ("north", "south")
    rows = {"parties": [{"name": name} for name in names]}
    plan = plan_of("gaussian", row=rows)
    collaboration = collaboration_of(plan, "run", {**KEYS, **dict.fromkeys(names, bytes(32))})
    content = collaboration.content
    roles = {name: domain["role"] for name, domain in content["domains"].items()}
    expected = {"north": "row party", "south": "row party", "column": "column party, key holder"}
    assert roles == {**expected, "aggregator": "aggregator"}
    assert [content["domains"][name]["dataset"] for name in names] == ["small/north", "small/south"]
    told = content["learns"]
    assert "noisy figures" in told["north"]["en"][0]
    assert told["south"]["en"][0].startswith("of the figures nothing but the published table")
    for name in names:
        assert any("table of another row party" in line for line in told[name]["en"])
    assert any("each other row party" in line for line in told["column"]["en"])
    assert any("each row party by itself" in line for line in told["aggregator"]["en"])
    # Of Gaussian noise the first knows a share, the other none.
    shares = plan.insiders.towards
    assert shares["north"] != shares["south"] == shares["public"]
    assert f"epsilon {readable(shares['south'].epsilon)}" in told["south"]["en"][-1]
    english, japanese = (page(collaboration, ["south"], language) for language in ("en", "ja"))
    assert "  row party south: data set small/south" in english
    assert "Approved by: row party south" in english
    assert "行側の当事者 south" in japanese
    for words in told.values():
        assert len(words["en"]) == len(words["ja"])


def test_one_row_party_is_told_what_it_was() -> None:
    told = lessons(plan_of())
    assert not any("another row party" in line for line in told["row"]["en"])
    assert not any("row party" in line for line in told["aggregator"]["en"])
