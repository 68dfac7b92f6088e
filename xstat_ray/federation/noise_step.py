"""The step `noise` of a party: what it adds to the table before anything is opened.

Both parties draw their shares of the noise. The row party masks every ciphertext, by its cluster,
while the aggregator counts. All of it follows from secrets on disk, but the randomness of masks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from xstat_ray.crypto.channel import hand_over
from xstat_ray.errors import DepartureError, ProtocolError
from xstat_ray.federation.domain_run import DomainRun
from xstat_ray.federation.identity import Domain
from xstat_ray.federation.mailbox import Mailbox
from xstat_ray.federation.outbox import Outbox
from xstat_ray.model.study import Role
from xstat_ray.noise.sampler import rounds
from xstat_ray.planning.plan import Plan
from xstat_ray.roles import RowParty
from xstat_ray.roles.joint_draw import ToBoth
from xstat_ray.roles.noise_share import SHARE, NoiseShare
from xstat_ray.roles.opening import checked_key
from xstat_ray.roles.private_file import write_private
from xstat_ray.runtime.emission import mask_call, opening_parts
from xstat_ray.runtime.executor import ROLES, Executor

RECEIPTS = "receipts"
"""Folder in the private folder with what the row party keeps of its masks."""


def accept_key(run: DomainRun, executor: Executor) -> None:
    """Have all environments of the row party accept the column party's key.

    Raises:
        PendingError: the key has not come in time.
        MessageError: the key is none under which masks hide everything.
    """
    key = receive_key(run.mailbox, run.plan)
    executor.get_all([row.call(RowParty.accept_key, key) for row in executor.row])


def send_masks(run: DomainRun, executor: Executor) -> None:
    """Send the masks of the whole table to the aggregator.

    The receipt of a mask is on disk before the mask leaves.

    Raises:
        InputError: the private folder cannot be written to.
    """
    plan = run.plan
    parts = opening_parts(plan)
    calls = [partial(mask_call, executor, plan, turn) for turn in range(len(parts))]
    outbox = Outbox(run, executor)
    for number, masked in outbox.missing("aggregator", "masks", dict(enumerate(calls))):
        write_private(run.folder / RECEIPTS, str(number), masked.receipt)
        outbox.send("aggregator", "masks", masked.masks, number, len(parts))


def draw_noise(run: DomainRun, role: Role, executor: Executor) -> None:
    """Draw the party's share of the noise, and keep it in the private folder.

    Raises:
        DepartureError: the study has the draw checked, and a role did not follow the protocol.
        PendingError: a message has not come in time.
        MessageError: a message is not what it should be.
    """
    if (run.folder / SHARE).exists():
        return
    first = (executor.row if role == "row" else executor.column)[0]
    if run.plan.noise is not None:
        with run.mailbox.receiving("aggregator", "dealt") as message:
            key = executor.get(first.call(NoiseShare.dealing_key))
            sealed = hand_over(key, {"seed": message.payload})
            executor.get(first.call(NoiseShare.accept_deal, sealed))
        sets = run.plan.study.privacy.checked
        for number in range(sets * len(run.plan.noise.parts)):
            _draw_part(run, role, executor, number)
        if sets > 1:
            with departures_logged(run):
                _check_sets(run, role, executor)
    executor.get(first.call(NoiseShare.keep_noise))


@contextmanager
def departures_logged(run: DomainRun) -> Iterator[None]:
    """Tell in the domain's log which role did not follow the protocol, and publish the log.

    Raises:
        DepartureError: what the block raised.
    """
    try:
        yield
    except DepartureError as error:
        told = {"who": error.who, "did": error.did}
        if all(entry.facts != told for entry in run.log.of("departed")):
            run.log.add("departed", **told)
        run.mailbox.publish_log()
        raise


def _draw_part(run: DomainRun, role: Role, executor: Executor, number: int) -> None:
    """Exchange the openings of one part, numbered through all sets, with the other party."""
    assert run.plan.noise is not None
    sets = run.plan.study.privacy.checked
    of_part = sets * [rounds(part.coins.bits) for part in run.plan.noise.parts]
    before = sum(of_part[:number])
    mailbox = run.mailbox
    other = ROLES[role].other
    first = (executor.row if role == "row" else executor.column)[0]
    opening: bytes | None
    if role == "row":
        opening = executor.get(first.call(NoiseShare.begin_noise, number))
    else:
        with mailbox.receiving("aggregator", "corrections", number) as message:
            key = executor.get(first.call(NoiseShare.dealing_key))
            sealed = hand_over(key, {"deal": message.payload})
            opening = executor.get(first.call(NoiseShare.begin_noise, number, sealed))
    for turn in range(of_part[number]):
        assert opening is not None
        place = before + turn
        mailbox.send(other, "opening", opening, part=place, parts=sum(of_part))
        with mailbox.receiving(other, "opening", place) as message:
            call = first.call(NoiseShare.advance_noise, number, turn, message.payload)
            opening = executor.get(call)


def _check_sets(run: DomainRun, role: Role, executor: Executor) -> None:
    """Go through the covert check with both other domains.

    What is refused here names a role, which need not be the sender of the last message.
    """
    mailbox = run.mailbox
    other = ROLES[role].other
    first = (executor.row if role == "row" else executor.column)[0]

    def tell(kind: str, told: ToBoth) -> tuple[bytes, bytes]:
        """Tell both others; returns what they tell."""
        mailbox.send(other, kind, told.sealed)
        mailbox.send("aggregator", kind, told.plain)
        return _take(mailbox, other, kind), _take(mailbox, "aggregator", kind)

    told = tell("commitment", executor.get(first.call(NoiseShare.commit_noise)))
    told = tell("toss", executor.get(first.call(NoiseShare.toss_noise, *told)))
    mailbox.send(other, "sets", executor.get(first.call(NoiseShare.open_sets, *told)))
    shown = _take(mailbox, other, "sets"), _take(mailbox, "aggregator", "sets")
    executor.get(first.call(NoiseShare.check_sets, *shown))
    if not any(run.log.of("drawn")):
        run.log.add("drawn", sets=run.plan.study.privacy.checked)


def _take(mailbox: Mailbox, sender: Domain, kind: str) -> bytes:
    with mailbox.receiving(sender, kind) as message:
        return message.payload


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
