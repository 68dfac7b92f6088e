"""The key holder: the only role that decrypts.

What it decrypts is under the row party's masks. `column_opening` tells which table it opens, and
when.
"""

from __future__ import annotations

from xstat_ray.crypto.buffers import from_rows, to_rows
from xstat_ray.crypto.packing import Packing
from xstat_ray.crypto.paillier import PrivateKey, check_group
from xstat_ray.errors import ProtocolError
from xstat_ray.model.messages import MaskedTable, OpenedTable
from xstat_ray.model.study import Study
from xstat_ray.privacy.design import Design
from xstat_ray.util.secrecy import Secret


class KeyHolder(Secret):
    """Checks a table and decrypts it, in this order."""

    def __init__(self, study: Study, key: PrivateKey) -> None:
        """Take the study, which tells the size of the table, and the release's private key."""
        self._study = study
        self._key = key

    def check(self, table: MaskedTable, packing: Packing) -> None:
        """Check that a table can be decrypted; nothing is paid for what cannot.

        Raises:
            ProtocolError: the table does not have the study's size, or holds something that is not
                a ciphertext.
        """
        public = self._key.public
        design = Design.of_study(self._study)
        if table.ciphertexts.shape != (design.shown, packing.blocks, public.width):
            raise ProtocolError("the masked table does not have the size of the study's table")
        check_group(public, from_rows(table.ciphertexts.reshape(-1, public.width)))

    def decrypt(self, table: MaskedTable, release: str, part: range) -> OpenedTable:
        """Decrypt a part of a table whose release was debited.

        Args:
            table: the whole masked table.
            release: id of the release.
            part: nodes that are decrypted.

        Raises:
            ProtocolError: the table holds something that is not a ciphertext.
        """
        public = self._key.public
        ciphertexts = table.ciphertexts[part.start : part.stop]
        numbers = self._key.decrypt(ciphertexts.reshape(-1, public.width))
        rows = to_rows(numbers, public.width // 2)
        return OpenedTable(
            release=release, first=part.start, numbers=rows.reshape(*ciphertexts.shape[:2], -1)
        )
