"""The debits of a release are looked up in the budget ledgers of its parties."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from xstat_ray.privacy.ledger import Debit, Ledger
from xstat_ray.publication.debited import Debited, look

RELEASE = "ab" * 16
STUDY = "cd" * 32
NAMES = ("two/row", "jal", "hac")
MANIFEST: dict[str, Any] = {
    "release": RELEASE,
    "study_digest": STUDY,
    "datasets": {"row": "two/row", "jal": "jal", "hac": "hac"},
    "spent": {"epsilon": "1/2", "delta": "1/1000000", "rho": "1/100"},
    "noise_free": False,
}
PAID = Debit(
    "", RELEASE, STUDY, "two", Fraction(1, 2), Fraction(1, 10**6), Fraction(1, 100), "12" * 32
)


def ledger(folder: Path, *names: str, **changes: object) -> Path:
    """Make a ledger in which these data sets have paid, on the manifest's terms or others."""
    place = folder / f"{'-'.join(names).replace('/', ' ')}.sqlite"
    for name in names:
        paid = replace(PAID, dataset=name, **changes)
        Ledger(place).debit(paid, Fraction(10), Fraction(1, 10**5))
    return place


def test_debits_of_all_parties_are_found_in_one_ledger_or_in_several(tmp_path: Path) -> None:
    together = ledger(tmp_path, *NAMES)
    assert look(MANIFEST, [together]) == Debited(found=[*NAMES])
    own = [ledger(tmp_path, name) for name in NAMES]
    assert look(MANIFEST, own) == Debited(found=[*NAMES])
    assert look(MANIFEST, own[:1]) == Debited(found=["two/row"], unknown=["jal", "hac"])
    assert look(MANIFEST, []) == Debited(unknown=[*NAMES])


@pytest.mark.parametrize(
    "changes",
    [
        {"release": "00" * 16},
        {"study": "00" * 32},
        {"epsilon": Fraction(1, 3)},
        {"delta": Fraction(1, 10**7)},
        {"rho": Fraction(1, 101)},
    ],
)
def test_a_debit_on_other_terms_or_none_is_told(changes: dict[str, Any], tmp_path: Path) -> None:
    place = ledger(tmp_path, "jal", **changes)
    assert look(MANIFEST, [place]).wrong == ["jal"]
    # Nor does it help that another ledger has the right one.
    agreed = ledger(tmp_path, "jal", "hac")
    both = look(MANIFEST, [place, agreed])
    assert both.wrong == ([] if "release" in changes else ["jal"])


def test_what_was_heard_of_anothers_ledger_is_no_debit(tmp_path: Path) -> None:
    place = ledger(tmp_path, "two/row")
    Ledger(place).witness("jal", "34" * 32)
    assert look(MANIFEST, [place]).unknown == ["jal", "hac"]


def test_a_release_without_noise_debits_nobody(tmp_path: Path) -> None:
    free = MANIFEST | {"noise_free": True, "spent": {"epsilon": "0", "delta": "0"}}
    other = ledger(tmp_path, "jal", release="00" * 16)
    assert look(free, [other]).found == ["jal"]
    assert look(free, [ledger(tmp_path, "hac")]).wrong == ["hac"]
