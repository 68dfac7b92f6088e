"""What the row party and the key holder agree on when a table is opened: its digest, its id, a key.

Every role forms these for itself; nobody is told one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from xstat_ray.crypto import key_proof
from xstat_ray.crypto.key_proof import KeyProof
from xstat_ray.crypto.paillier import PrivateKey, PublicKey
from xstat_ray.errors import ProtocolError
from xstat_ray.model.encoding import NO_HEAD
from xstat_ray.model.messages import MaskedTable, RerandomisedTable
from xstat_ray.model.study import Role, Study
from xstat_ray.noise.plan import spent_delta
from xstat_ray.privacy.design import Design
from xstat_ray.privacy.ledger import Debit, Ledger

_RELEASE = b"xstat-ray release\0"
_RELEASE_BYTES = 16
_PROOF_NUMBERS = 12
_KEY_NUMBERS = 3
"""Numbers of half a ciphertext's width in an encoded public key: n, and h with twice its size."""


@dataclass(frozen=True)
class ToOpen:
    """A table that is to be opened, and what its approval needs."""

    release: str
    """Id of the release, as the parties form it too."""
    rerandomised: RerandomisedTable
    masked: MaskedTable
    receipts: Sequence[bytes]
    """What the row party keeps of its masks, sealed for itself; in the order of the nodes."""


def table_digest(table: MaskedTable, study: Study) -> bytes:
    """SHA-256 (32 bytes) of an encoded masked table, by which it is approved and opened."""
    return hashlib.sha256(table.encode(study.digest)).digest()


def release_id(session: str, digest: bytes) -> str:
    """Form the id of a release, 32 hexadecimal digits.

    A session opens one table, so the id stands for both, and nobody can choose it.

    Args:
        session: name of the session, in hex.
        digest: `table_digest` of the table that is opened.
    """
    formed = hashlib.sha256(_RELEASE + bytes.fromhex(session) + digest).digest()
    return formed[:_RELEASE_BYTES].hex()


def debit(study: Study, role: Role, ledger: Path | None, release: str, session: str) -> None:
    """Debit a party's data set for a release, once however often this is called.

    Nothing is debited where noise is off.

    Args:
        study: what is counted; tells what the release costs.
        role: the party whose data set is debited.
        ledger: the party's budget file; may be missing where noise is off.
        release: id of the release, which the party has formed itself.
        session: name of the session, which pays for one release.

    Raises:
        BudgetError: the budget does not allow it.
        ProtocolError: there is no ledger.
    """
    design = Design.of_study(study)
    mechanism = design.budget
    if mechanism.noise == "off":
        return
    if ledger is None:
        raise ProtocolError(f"the {role} party has no ledger to debit")
    dataset = _dataset(study, role)
    terms = (mechanism.epsilon, spent_delta(design, study.slots), mechanism.rho)
    source = (study.digest.hex(), study.name)
    entry = Debit(dataset, release, *source, *terms, session=session, noise=mechanism.known)
    Ledger(ledger).debit(entry, study.privacy.cap, study.privacy.delta)


def head_of(study: Study, ledger: Path | None) -> str:
    """What a party tells the other of its ledger: the head, or `NO_HEAD` where nothing is paid."""
    if ledger is None or study.privacy.noise == "off":
        return NO_HEAD
    return Ledger(ledger).head()


def recorded_head(study: Study, role: Role, ledger: Path | None) -> str:
    """What a party recorded last of the other's ledger, which it tells the other; or `NO_HEAD`."""
    if ledger is None or study.privacy.noise == "off":
        return NO_HEAD
    return Ledger(ledger).witnessed(_dataset(study, _other(role))) or NO_HEAD


def check_witnessed(study: Study, ledger: Path | None, witnessed: str) -> None:
    """Check that a party's ledger has what the other party recorded of it.

    Raises:
        InputError: it was replaced, or restored from an old copy.
    """
    if ledger is not None and study.privacy.noise != "off" and witnessed != NO_HEAD:
        Ledger(ledger).check_held(witnessed)


def record_head(study: Study, role: Role, ledger: Path | None, head: str) -> None:
    """Record the head of the other party's ledger, as it was told."""
    if ledger is not None and study.privacy.noise != "off" and head != NO_HEAD:
        Ledger(ledger).witness(_dataset(study, _other(role)), head)


def _dataset(study: Study, role: Role) -> str:
    return (study.row if role == "row" else study.column).dataset


def _other(role: Role) -> Role:
    return "column" if role == "row" else "row"


def proven_key(key: PrivateKey) -> bytes:
    """Encode the public key with the proof that every number below n^2 can be opened with it."""
    return key.public.encode() + key_proof.prove(key).encode(key.public)


@lru_cache(maxsize=4)
def checked_key(data: bytes) -> PublicKey:
    """Read what `proven_key` gave, without trust in whoever made it.

    Raises:
        ProtocolError: not a plausible key, or the proof does not hold.
    """
    size = len(data) * _KEY_NUMBERS // (_KEY_NUMBERS + _PROOF_NUMBERS)
    public = PublicKey.decode(data[:size])
    key_proof.check(public, KeyProof.decode(public, data[size:]))
    return public
