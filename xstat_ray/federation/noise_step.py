"""The step `noise` of a party: what it adds to the table before anything is opened.

The row party masks every ciphertext, by its cluster, while the aggregator counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from xstat_ray.errors import ProtocolError
from xstat_ray.federation.domain_run import DomainRun
from xstat_ray.federation.mailbox import Mailbox
from xstat_ray.federation.outbox import Outbox
from xstat_ray.planning.plan import Plan
from xstat_ray.roles import RowParty
from xstat_ray.roles.opening import checked_key
from xstat_ray.roles.private_file import write_private
from xstat_ray.runtime.emission import opening_parts
from xstat_ray.runtime.executor import Executor, in_turn

RECEIPTS = "receipts"
"""Folder in the private folder with what the row party keeps of its masks."""


def send_masks(run: DomainRun, executor: Executor) -> None:
    """Send the masks of the whole table to the aggregator.

    The receipt of a mask is on disk before the mask leaves.

    Raises:
        PendingError: the column party's key has not come in time.
        MessageError: the key is none under which masks hide everything.
    """
    plan = run.plan
    key = receive_key(run.mailbox, plan)
    executor.get_all([row.call(RowParty.accept_key, key) for row in executor.row])
    parts = opening_parts(plan)
    share = -(-plan.table_ciphertexts // len(executor.row))
    how = (plan.packing.blocks, share, plan.constant_time)
    calls = [
        partial(in_turn(executor.row, turn).call, RowParty.mask_table, part, *how)
        for turn, part in enumerate(parts)
    ]
    outbox = Outbox(run, executor)
    for number, masked in outbox.missing("aggregator", "masks", calls):
        write_private(run.folder / RECEIPTS, str(number), masked.receipt)
        outbox.send("aggregator", "masks", masked.masks, number, len(parts))


def receive_key(mailbox: Mailbox, plan: Plan) -> bytes:
    """Receive the column party's public key with its proof, and check both."""
    with mailbox.receiving("column", "key") as message:
        if checked_key(message.payload).key_bits != plan.key_bits:
            raise ProtocolError("the public key has a modulus of the wrong size")
    return message.payload


def receipts(folder: Path, plan: Plan) -> Sequence[bytes]:
    """Read what the row party keeps of its masks, in the order of the nodes."""
    return [
        (folder / RECEIPTS / str(number)).read_bytes() for number in range(len(opening_parts(plan)))
    ]
