"""Three domains check the draw of the noise: who departs is named, again when the step is rerun."""

from __future__ import annotations

import json
import shutil

import pytest

from tests.adversary.planted import sampler
from tests.case import Case, study
from tests.federation.domains import RUN, Domains
from tests.federation.test_verify import Line, rewritten
from xstat_ray.errors import DepartureError
from xstat_ray.federation.verify import verify

CHECKED = study(noise="laplace", privacy={"checked": 2})


def test_a_party_that_departs_ends_the_run_before_anything_is_masked_or_opened(
    quick_key, tmp_path, monkeypatch
):
    domains = Domains(tmp_path, CHECKED, Case(tmp_path).tables)
    sampler.tosses_other_coins(monkeypatch, "column")
    for _ in range(2):
        with pytest.raises(DepartureError) as caught:
            domains.run()
        assert caught.value.who == "column party"
    logs = [domains.state("row") / "log.jsonl", *(domains.exchange / RUN).rglob("row*log*")]
    for log in logs:
        departed = list(map(json.loads, log.read_text().splitlines()))
        told = [line["facts"] for line in departed if line["event"] == "departed"]
        assert [facts["who"] for facts in told] == ["column party"]
    kinds = {
        json.loads(line)["facts"].get("kind")
        for line in (domains.state("row") / "log.jsonl").read_text().splitlines()
    }
    assert {"opening", "sets"} <= kinds and not {"masks", "approval"} & kinds
    assert domains.spent() == {"row": 0, "column": 0} and not domains.out.exists()
    assert not (domains.state("row") / "noise").exists()


def test_a_release_shows_that_its_noise_was_checked(finished):
    pins = {name: identity.public for name, identity in finished.identities.items()}
    report = verify(finished.out, pins)
    assert report.wrong == []
    assert any("draw of the noise checked" in line for line in report.shown)


def last(lines: list[Line]) -> list[Line]:
    """Move the check of the noise behind all else."""
    return sorted(lines, key=lambda line: line[0] == "drawn")


@pytest.mark.parametrize("domain", ["row", "column"])
def test_a_release_whose_noise_was_not_checked_is_found(finished, tmp_path, domain):
    release = shutil.copytree(finished.out, tmp_path / "out")
    rewritten(
        finished, release, domain, lambda lines: [line for line in lines if line[0] != "drawn"]
    )
    pins = {name: identity.public for name, identity in finished.identities.items()}
    missing = f"the {domain} party's log does not show the check of the noise that was promised"
    assert missing in verify(release, pins).wrong
    release = shutil.copytree(finished.out, tmp_path / "late")
    rewritten(finished, release, domain, last)
    assert any("before it had checked the noise" in line for line in verify(release, pins).wrong)
