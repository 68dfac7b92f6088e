"""The ledger: what is spent of a party's data sets, durable and never overspent.

A data set is one party's table, under the name that studies give it. It has a cap on epsilon, and a
delta at which its epsilon is reckoned; `accountant` says how debits add up. The first debit takes
both from the study, later only `set_cap` changes them. A debit holds the write lock from reading
the sums to committing the entries, so concurrent releases cannot both pass the cap; a debit that
was already made for the same release is not made again, and a session pays for one release only.

What the compute pool has learnt of a data set is a separate account, named after it (`POOL`): the
epsilons and deltas of the views add up, each as it is.

The ledger's head stands for all that it holds (`history`). The two parties of a release tell each
other theirs after their debits, and record what they were told (`witness`). Each asks the other for
what it has recorded (`witnessed`), and a ledger that does not hold it (`check_held`) was replaced
or restored from an old copy. A head is asked for until the other party tells one of a ledger that
held it, so that it does not matter in which order heads of several runs are told.
"""

from __future__ import annotations

import datetime as dt
import shlex
from collections.abc import Iterable
from dataclasses import dataclass, replace
from fractions import Fraction

from xstat_ray.errors import BudgetError, InputError
from xstat_ray.privacy.accountant import Spending
from xstat_ray.privacy.accounts import POOL, Account, accounts, limit_of, spending_of
from xstat_ray.privacy.history import Entry, Reader, Writer
from xstat_ray.privacy.places import Place, argument, open_history
from xstat_ray.privacy.rounding import decimal
from xstat_ray.privacy.witnesses import must_hold, since_anew


@dataclass(frozen=True)
class Debit:
    """What one release takes from the budget of one data set."""

    dataset: str
    release: str
    """Identity of the release, as the party forms it itself."""
    study: str
    """Digest of the study, hexadecimal."""
    name: str
    """Name of the study."""
    epsilon: Fraction
    delta: Fraction
    """What Laplace noise spends of delta; 0 where it is drawn exactly. Of Gaussian noise: as the
    study declares it, and not counted, as a debit with `rho` counts through that alone."""
    rho: Fraction = Fraction(0)
    """Of Gaussian noise (`Mechanism.rho`); 0 of other noise."""
    session: str = ""
    """The session that the release ends, which pays for one release; empty where there is none."""
    noise: str = ""
    """What is known of the noise (`Mechanism.known`); empty: nothing but these amounts."""


class Ledger:
    """The budgets kept in one place.

    Opening a file creates it and its folder, readable by the owner only.
    """

    def __init__(self, place: Place) -> None:
        """Open the ledger.

        Raises:
            InputError: the file or the database cannot be used, or holds no ledger; so do the
                methods.
        """
        self._place = place
        self._history = open_history(place)

    def debit(self, debit: Debit, cap: Fraction, delta: Fraction | None = None) -> None:
        """Record a debit before anything is decrypted or unmasked.

        A repeat of the same release changes nothing. A refusal is recorded too.

        Args:
            debit: what is taken.
            cap: the cap of a data set that has none yet.
            delta: the delta of such a data set; by default the debit's.

        Raises:
            BudgetError: the data set would pass its cap or its delta, or has delta 0 and the noise
                needs one; the session has paid for another release; or the release was debited
                before on other terms.
        """
        first = (cap, debit.delta if delta is None else delta)

        def enter(history: Writer) -> list[Entry]:
            entries = _check(history, debit, first)
            for entry in entries:
                history.append(entry)
            return entries

        for entry in self._history.write(enter):
            if entry.kind == "refusal":
                raise BudgetError(self._explain(entry))

    def check_room(self, debit: Debit, cap: Fraction, delta: Fraction | None = None) -> None:
        """Check that a debit would be made now, and that the ledger can be written to.

        Nothing is recorded. Another run may take the room before the debit is made, which is
        checked again then.

        Args:
            debit: what would be taken.
            cap: the cap of a data set that has none yet.
            delta: the delta of such a data set; by default the debit's.

        Raises:
            BudgetError: it would be refused; see `debit`.
        """
        first = (cap, debit.delta if delta is None else delta)
        for entry in self._history.write(lambda history: _check(history, debit, first)):
            if entry.kind == "refusal":
                raise BudgetError(self._explain(entry))

    def set_cap(self, dataset: str, cap: Fraction, delta: Fraction | None = None) -> None:
        """Change the cap of a data set, and its delta if one is given.

        A new data set gets both beforehand.

        A cap below what is spent closes the data set.

        Raises:
            InputError: a negative cap, or a delta outside [0, 1).
            BudgetError: a delta that is spent already, or 0 for a data set with Gaussian debits.
        """
        if cap < 0:
            raise InputError("the cap is negative", key="cap")
        if delta is not None and not 0 <= delta < 1:
            raise InputError("delta is not at least 0 and below 1", key="delta")
        if delta and dataset.endswith(POOL):
            raise InputError(
                "the deltas of what the pool sees add up and have no cap",
                key="delta",
                remedy="Leave it out",
            )

        def enter(history: Writer) -> None:
            _, known = history.limits().get(dataset, (cap, Fraction(0)))
            chosen = known if delta is None else delta
            _check_delta(dataset, chosen, spending_of(history, dataset))
            history.append(Entry(_now(), "cap", dataset, delta=chosen, cap=cap))

        self._history.write(enter)

    def head(self) -> str:
        """The digest of the last entry, 64 hexadecimal digits, which stands for all entries."""
        return self._history.read(Reader.head)

    def holds(self, head: str) -> bool:
        """Whether that is the head of this ledger, or was once."""
        return self._history.read(lambda history: history.holds(head))

    def check_held(self, heads: Iterable[str]) -> None:
        """Check that nothing was lost that the other party has a record of.

        Args:
            heads: heads of this ledger that the other party has recorded.

        Raises:
            InputError: this ledger lacks one of them.
        """
        asked = list(heads)
        if not self._history.read(lambda history: all(map(history.holds, asked))):
            raise InputError(
                "the budget ledger lacks entries that the other party has a record of: it was "
                "replaced, or restored from an old copy",
                file=str(self._place),
                remedy="Put back the newest copy of it. If that is lost, tell the other party; "
                "debit what is missing by a lower cap (xstat-ray budget set-cap), have the other "
                "party accept this ledger (xstat-ray budget accept), and begin another run",
            )

    def witness(self, dataset: str, head: str, session: str = "", held: Iterable[str] = ()) -> None:
        """Record the head of the other party's ledger, as it was told; a repeat changes nothing.

        Args:
            dataset: the other party's data set.
            head: 64 hexadecimal digits; empty: the other party's ledger begins anew, and what was
                recorded of it no longer counts.
            session: in which it was told; it takes the place of what was told before in that
                session, and without one of all before.
            held: heads that the other party's ledger held when it had this one.
        """
        note = " ".join(held)

        def enter(history: Writer) -> None:
            told = [entry.head for entry in since_anew(history.entries(dataset))]
            known = head in told if head else not told
            if not known:
                entry = Entry(_now(), "witness", dataset, note=note, session=session, head=head)
                history.append(entry)

        self._history.write(enter)

    def witnessed(self, dataset: str, session: str = "") -> list[str]:
        """The heads that the ledger of the other party's data set must hold, oldest first.

        Args:
            dataset: the other party's data set.
            session: leave out what was told in this one; empty: leave out nothing.
        """
        heads = must_hold(self.history(dataset))
        return [head for head, told_in in heads.items() if not session or told_in != session]

    def spent(self, dataset: str) -> Fraction:
        """Epsilon spent on a data set so far, at its delta; 0 for an unknown one."""
        return next(
            (account.spent for account in self.show() if account.dataset == dataset), Fraction(0)
        )

    def show(self) -> list[Account]:
        """Where every data set stands that has a cap, by name."""
        return self._history.read(accounts)

    def history(self, dataset: str | None = None) -> list[Entry]:
        """Every debit, refusal and cap, oldest first, of one data set or of all."""
        return self._history.read(lambda history: history.entries(dataset))

    def _explain(self, refusal: Entry) -> str:
        limits = f"{argument(self._place)} {shlex.quote(f'dataset={refusal.dataset}')} cap=..."
        if _DELTA in refusal.note:
            limits += f" delta=... (more than {_decimal(refusal.delta)})"
        kept = (
            "Nothing was handed to the pool"
            if refusal.dataset.endswith(POOL)
            else "Nothing was decrypted"
        )
        return (
            f"data set {refusal.dataset}: {refusal.note}. {kept}. Ask for less in the study, or "
            f"agree on other limits: xstat-ray budget set-cap {limits}"
        )


_DELTA = "(set-cap can change its delta)"
"""What a refusal for want of delta says."""


def _check(history: Reader, debit: Debit, first: tuple[Fraction, Fraction]) -> list[Entry]:
    """What a debit adds to the history; `first` is cap and delta of a data set without them.

    Nothing if it was made before, else itself (after the first cap), or a refusal.
    """
    dataset = debit.dataset
    limits = history.limits().get(dataset)
    cap, delta = limits or (first[0], Fraction(0) if dataset.endswith(POOL) else first[1])
    source = (debit.study, debit.name, debit.release)
    amounts = (debit.epsilon, debit.delta, debit.rho)
    entry = Entry(
        _now(), "debit", dataset, *source, *amounts, cap, note=debit.noise, session=debit.session
    )
    known = history.debited(dataset, debit.release)
    if known and _terms(known) == _terms(debit):
        return []
    reason = _conflict(history, debit, known) or _shortfall(
        debit, spending_of(history, dataset), cap, delta
    )
    if reason:
        return [replace(entry, kind="refusal", note=reason)]
    if limits:
        return [entry]
    return [Entry(entry.at, "cap", dataset, *source, delta=delta, cap=cap), entry]


def _terms(debit: Debit | Entry) -> tuple[str, str, Fraction, Fraction, Fraction]:
    return debit.study, debit.session, debit.epsilon, debit.delta, debit.rho


def _conflict(history: Reader, debit: Debit, known: Entry | None) -> str:
    """Why what was debited before forbids a debit; empty if it does not."""
    if known:
        return f"release {debit.release} was debited before on other terms"
    if debit.session and (paid := history.paid(debit.dataset, debit.session)):
        return f"session {debit.session} has paid for release {paid.release}, and pays for one only"
    return ""


def _check_delta(dataset: str, delta: Fraction, spending: Spending) -> None:
    """Refuse a new delta of a data set that its debits have used up."""
    if dataset.endswith(POOL):
        return
    if spending.rho and not delta:
        raise BudgetError(
            f"data set {dataset}: Gaussian releases were made of it, so its delta cannot be 0"
        )
    if delta < spending.delta or (spending.rho and delta == spending.delta):
        raise BudgetError(
            f"data set {dataset}: Laplace releases have spent {_decimal(spending.delta)} of its "
            f"delta, so it cannot be {_decimal(delta)}"
        )


def _shortfall(debit: Debit, spending: Spending, cap: Fraction, delta: Fraction) -> str:
    """Why a debit does not fit into the budget of a data set; empty if it fits."""
    if debit.rho and not delta:
        return f"its delta is 0 {_DELTA}, and Gaussian noise needs a positive one"
    total = spending.plus(debit.epsilon, debit.rho, delta=debit.delta, noise=debit.noise)
    limit = limit_of(debit.dataset, delta, total)
    if total.delta > limit or (total.rho and total.delta == limit):
        return (
            f"delta {_decimal(spending.delta)} of {_decimal(delta)} is spent and with this "
            f"release it would be {_decimal(total.delta)} {_DELTA}"
        )
    would_be = total.epsilon(limit, enough=cap)
    if would_be <= cap:
        return ""
    spent = decimal(spending.epsilon(limit_of(debit.dataset, delta, spending)))
    return (
        f"epsilon {spent} of {decimal(cap)} is spent and with this release it would be "
        f"{decimal(would_be)}"
    )


def _decimal(delta: Fraction) -> str:
    return f"{float(delta):g}"


def _now() -> str:
    return dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
