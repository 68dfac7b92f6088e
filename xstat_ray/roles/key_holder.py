"""The key holder: the only role that decrypts.

It decrypts nothing but the noisy table of a release that its ledger has debited.
"""

from __future__ import annotations

from pathlib import Path

from xstat_ray.crypto.packing import Packing
from xstat_ray.crypto.paillier import PrivateKey
from xstat_ray.errors import ProtocolError
from xstat_ray.model.messages import Coefficients, NoisyTable
from xstat_ray.model.study import Study
from xstat_ray.privacy.design import Design
from xstat_ray.privacy.ledger import Debit, Ledger
from xstat_ray.privacy.mechanism import Mechanism
from xstat_ray.util.secrecy import Secret


class KeyHolder(Secret):
    """Checks a table, debits the release, and decrypts, in this order."""

    def __init__(self, study: Study, key: PrivateKey, ledger: Path | None) -> None:
        """Take the private key and the ledger.

        Args:
            study: what is counted; tells what the release costs.
            key: the release's key.
            ledger: file of the budgets; may be missing where noise is off, as nothing is debited.
        """
        self._study = study
        self._key = key
        self._ledger = ledger

    def decrypt(self, table: NoisyTable, packing: Packing, part: range) -> Coefficients:
        """Debit the release, then decrypt a part of its table.

        A release is debited once, however many parts are asked for.

        Args:
            table: the whole noisy table.
            packing: how slots are packed into ciphertexts.
            part: nodes that are decrypted.

        Raises:
            BudgetError: a data set's budget does not allow the release; nothing was decrypted.
            ProtocolError: the table does not have the study's size, or holds something that is not
                a ciphertext.
        """
        public = self._key.public
        design = Design.of_study(self._study)
        if table.ciphertexts.shape != (design.shown, packing.blocks, public.width):
            raise ProtocolError("the noisy table does not have the size of the study's table")
        self._debit(table.release, design.budget)
        plain = self._key.decrypt(
            table.ciphertexts[part.start : part.stop].reshape(-1, public.width)
        )
        return Coefficients(release=table.release, first=part.start, values=packing.unpack(plain))

    def _debit(self, release: str, mechanism: Mechanism) -> None:
        study = self._study
        if mechanism.noise == "off":
            return
        if self._ledger is None:
            raise ProtocolError("the key holder has no ledger to debit")
        ledger = Ledger(self._ledger)
        terms = (mechanism.epsilon, mechanism.delta, mechanism.rho)
        for dataset in (study.row.dataset, study.column.dataset):
            debit = Debit(dataset, release, study.digest.hex(), study.name, *terms)
            ledger.debit(debit, study.privacy.cap, study.privacy.delta)
