"""The step `noise` of a party: what it adds to the table before anything is opened.

Both parties draw their shares of the noise. The row party masks every ciphertext, by its cluster,
while the aggregator counts. All of it follows from secrets on disk, but the randomness of masks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from xstat_ray.crypto.channel import hand_over
from xstat_ray.errors import DepartureError, ProtocolError
from xstat_ray.federation.domain_run import DomainRun
from xstat_ray.federation.handshakes import links_of
from xstat_ray.federation.identity import Domain
from xstat_ray.federation.mailbox import Mailbox
from xstat_ray.federation.outbox import Outbox
from xstat_ray.federation.roster import columns_of, sharers_of
from xstat_ray.model.study import Role
from xstat_ray.noise.sampler import rounds
from xstat_ray.planning.plan import Plan
from xstat_ray.roles.joint_draw import ToBoth
from xstat_ray.roles.noise_share import SHARE, NoiseShare
from xstat_ray.roles.opening import checked_key
from xstat_ray.roles.private_file import write_private
from xstat_ray.roles.row_link import RowLink
from xstat_ray.roles.row_opening import Masked
from xstat_ray.runtime.emission import joint_mask_call, mask_call, opening_parts
from xstat_ray.runtime.executor import ROLES, Executor, Instance, Ref

RECEIPTS = "receipts"
"""Folder in the private folder with what the row party keeps of its masks."""


def accept_keys(run: DomainRun, executor: Executor) -> None:
    """Have all environments of the row party accept each column party's key.

    Raises:
        PendingError: a key has not come in time.
        MessageError: a key is none under which masks hide everything.
    """
    for name, link in links_of(run, "row", executor).items():
        key = receive_key(run.mailbox, run.plan, name)
        executor.get_all([row.call(RowLink.accept_key, key) for row in link.row_links])


def send_masks(run: DomainRun, executor: Executor) -> None:
    """Send the masks of the whole table, under the key of each column party, to the aggregator.

    Those of a part of the table come one key after the other. The receipt of a mask is on disk
    before the mask leaves.

    Raises:
        InputError: the private folder cannot be written to.
    """
    plan = run.plan
    parts = opening_parts(plan)
    keys = len(columns_of(plan.study))
    jointly = plan.study.opens_jointly
    call: Callable[[Executor, Plan, int], Ref[Any]] = joint_mask_call if jointly else mask_call
    calls = {turn * keys: partial(call, executor, plan, turn) for turn in range(len(parts))}
    outbox = Outbox(run, executor)
    sent = run.mailbox.unsent("aggregator", "masks", len(parts) * keys).start
    for number, made in outbox.missing("aggregator", "masks", calls, keys):
        of_keys: Sequence[Masked] = [made] if isinstance(made, Masked) else made
        for place, masked in enumerate(of_keys, number):
            # Those that are out are not made anew: they would have other receipts.
            if place >= sent:
                write_private(run.folder / RECEIPTS, str(place), masked.receipt)
                outbox.send("aggregator", "masks", masked.masks, place, len(parts) * keys)


def draw_noise(run: DomainRun, role: Role, executor: Executor) -> None:
    """Draw the party's share of the noise, and keep it in the private folder.

    Raises:
        DepartureError: the study has the draw checked, and a role did not follow the protocol.
        PendingError: a message has not come in time.
        MessageError: a message is not what it should be.
    """
    if (run.folder / SHARE).exists():
        return
    first = _sharer(role, executor)
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


def _sharer(role: Role, executor: Executor) -> Instance[NoiseShare]:
    """Return the environment that draws this party's share of the noise."""
    return (executor.row if role == "row" else executor.column)[0]


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
    other = sharers_of(run.plan.study)[ROLES[role].other]
    first = _sharer(role, executor)
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
    other = sharers_of(run.plan.study)[ROLES[role].other]
    first = _sharer(role, executor)

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


def receive_key(mailbox: Mailbox, plan: Plan, party: Domain) -> bytes:
    """Receive a column party's public key with its proof, and check both."""
    with mailbox.receiving(party, "key") as message:
        if checked_key(message.payload).key_bits != plan.key_bits:
            raise ProtocolError("the public key has a modulus of the wrong size")
    return message.payload


def receipts(folder: Path, plan: Plan, key: int = 0) -> Sequence[bytes]:
    """Read what the row party keeps of its masks under a key, in the order of the nodes.

    Args:
        folder: the row party's private folder of the run.
        plan: the plan of the release.
        key: number of the column party whose key it is, in the order of the study.
    """
    keys = len(columns_of(plan.study))
    numbers = range(key, keys * len(opening_parts(plan)), keys)
    return [(folder / RECEIPTS / str(number)).read_bytes() for number in numbers]
