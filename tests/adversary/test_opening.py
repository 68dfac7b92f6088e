"""An aggregator of bad faith gets nothing opened but what the row party's masks are on.

Alone it has no key. What it could do is to have the key holder decrypt something else than the
masked table; what comes of that the key holder would read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.adversary import marks
from tests.adversary.deployments import DEPLOYMENTS, OneProcess, played_as_far_as_it_goes
from tests.adversary.people import mixed
from tests.case import study
from tests.sizes import first, slow, thorough
from xstat_ray.crypto.buffers import from_rows, to_rows
from xstat_ray.crypto.paillier import PrivateKey
from xstat_ray.errors import XstatError
from xstat_ray.model.messages import MaskedTable, Masks, RerandomisedTable
from xstat_ray.privacy.ledger import Ledger
from xstat_ray.roles import Aggregator, RowParty

AREAS = ("a", "b", "c", "d")
STUDY = study(noise="laplace", areas=AREAS)
HONEST = Aggregator.put_masks
Attack = Callable[[Aggregator, RerandomisedTable, Sequence[Masks]], MaskedTable]
"""What an aggregator makes of its table and the row party's masks."""


def no_masks(_: Aggregator, table: RerandomisedTable, masks: Sequence[Masks]) -> MaskedTable:
    """Show the table as it is."""
    del masks
    return MaskedTable(ciphertexts=table.ciphertexts)


def one_mask_less(
    aggregator: Aggregator, table: RerandomisedTable, masks: Sequence[Masks]
) -> MaskedTable:
    """Leave the mask of one cell out."""
    masked = HONEST(aggregator, table, masks).ciphertexts.copy()
    masked[0] = table.ciphertexts[0]
    return MaskedTable(ciphertexts=masked)


def one_mask_for_all(
    aggregator: Aggregator, table: RerandomisedTable, masks: Sequence[Masks]
) -> MaskedTable:
    """Put the first cell's mask on all cells: the differences of their counts show."""
    (whole,) = masks
    alike = np.repeat(whole.ciphertexts[:1], len(whole.ciphertexts), axis=0)
    return HONEST(aggregator, table, [replace(whole, ciphertexts=alike)])


def another_table(
    aggregator: Aggregator, table: RerandomisedTable, masks: Sequence[Masks]
) -> MaskedTable:
    """Put the masks on a table with one more in each cell than the one that is shown."""
    public = aggregator.public
    numbers = from_rows(table.ciphertexts.reshape(-1, public.width))
    more = to_rows([number * (1 + public.n) % public.n2 for number in numbers], public.width)
    other = RerandomisedTable(ciphertexts=more.reshape(table.ciphertexts.shape))
    return HONEST(aggregator, other, masks)


class Replayed:
    """The masked table of an earlier run, whose masks the key holder has been shown."""

    def __init__(self) -> None:
        self._kept: list[MaskedTable] = []

    def __call__(
        self, aggregator: Aggregator, table: RerandomisedTable, masks: Sequence[Masks]
    ) -> MaskedTable:
        self._kept.append(HONEST(aggregator, table, masks))
        return self._kept[0]


class Decrypted:
    """What the key holder decrypts."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.rows = 0
        honest = PrivateKey.decrypt

        def decrypt(key: PrivateKey, rows: Any) -> Any:
            self.rows += len(rows)
            return honest(key, rows)

        patch.setattr(PrivateKey, "decrypt", decrypt)


def run(deployment: OneProcess, folder: Path) -> Any:
    return deployment.run(STUDY, mixed(3).tables(area=AREAS), folder)


def spent(folder: Path) -> list[int]:
    """What both data sets have paid."""
    ledger = Ledger(folder / "ledger.sqlite")
    return [int(ledger.spent(f"small/{role}")) for role in ("row", "column")]


def attacks(patch: pytest.MonkeyPatch, attack: Attack) -> None:
    """Let the aggregator do this."""
    patch.setattr(Aggregator, "put_masks", lambda *given: attack(*given))


@pytest.mark.parametrize("deployment", first(1, DEPLOYMENTS, slow))
@pytest.mark.parametrize(
    "attack", first(1, [no_masks, one_mask_less, one_mask_for_all, another_table], slow)
)
def test_nothing_is_opened_without_the_row_partys_masks(deployment, attack, tmp_path, monkeypatch):
    attacks(monkeypatch, attack)
    decrypted = Decrypted(monkeypatch)
    with pytest.raises(XstatError, match="masks on it"):
        run(deployment, tmp_path)
    assert decrypted.rows == 0
    assert spent(tmp_path) == [0, 0]
    assert not list((tmp_path / "out").glob("statistics*"))


@thorough
@pytest.mark.parametrize("deployment", first(1, DEPLOYMENTS, slow))
def test_nor_is_the_masked_table_of_an_earlier_run(deployment, tmp_path, monkeypatch):
    attacks(monkeypatch, Replayed())
    run(deployment, tmp_path / "first")
    decrypted = Decrypted(monkeypatch)
    with pytest.raises(XstatError, match="masks on it"):
        run(deployment, tmp_path / "again")
    assert decrypted.rows == 0
    assert spent(tmp_path / "again") == [0, 0]


@pytest.mark.parametrize("attack", first(1, [no_masks, one_mask_for_all]))
def test_a_row_party_that_does_not_look_lets_the_key_holder_read(
    attack, tmp_path, paillier_key, monkeypatch
):
    attacks(monkeypatch, attack)
    monkeypatch.setattr(RowParty, "_check_masked", lambda *_: None)
    # The masks that the row party then takes off were never there.
    record, refused = played_as_far_as_it_goes(
        STUDY, mixed(3).tables(area=AREAS), tmp_path, "column"
    )
    assert refused
    assert marks.plain(marks.tables(record.of("column"), paillier_key), paillier_key) >= 3
