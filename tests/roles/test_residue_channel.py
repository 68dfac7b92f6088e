"""The channel of two column parties: for them alone, of one study, and of one pair of them."""

from __future__ import annotations

import pytest

from xstat_ray.crypto import handshake
from xstat_ray.errors import ProtocolError
from xstat_ray.roles import residue_channel
from xstat_ray.roles.residue_channel import ResidueChannel

STUDY = bytes(32)


def ends(party: str = "two") -> tuple[ResidueChannel, ResidueChannel]:
    """Both ends before the handshake."""
    return ResidueChannel(STUDY, party, first=True), ResidueChannel(STUDY, party, first=False)


def agreed(party: str = "two") -> tuple[ResidueChannel, ResidueChannel]:
    """Both ends after it."""
    first, other = ends(party)
    hello = first.hello()
    confirmation = first.agree(other.hello())
    first.confirm(other.agree(hello))
    other.confirm(confirmation)
    return first, other


def test_what_one_end_seals_the_other_alone_opens() -> None:
    first, other = agreed()
    for sender, receiver in ((first, other), (other, first)):
        sealed = sender.seal(b"numbers", "residues")
        assert b"numbers" not in sealed and receiver.open(sealed, "residues") == b"numbers"
        for wrong in (sender, *agreed()):
            with pytest.raises(ProtocolError, match="altered or is not from the counterpart"):
                wrong.open(sealed, "residues")
        with pytest.raises(ProtocolError, match="altered"):
            receiver.open(sealed, "sums")
        with pytest.raises(ProtocolError, match="altered"):
            receiver.open(sealed[:-1] + bytes([sealed[-1] ^ 1]), "residues")


def test_ends_of_another_study_party_software_or_place_are_refused(monkeypatch) -> None:
    first, other = ends()
    wrong = [
        ResidueChannel(bytes([1]) * 32, "two", first=False),
        ResidueChannel(STUDY, "three", first=False),
    ]
    for one in wrong:
        with pytest.raises(ProtocolError, match="different studies"):
            first.agree(one.hello())
    with pytest.raises(ProtocolError, match="both parties play"):
        first.agree(ResidueChannel(STUDY, "two", first=True).hello())
    monkeypatch.setattr(residue_channel, "software_digest", lambda: bytes([2]) * 32)
    with pytest.raises(ProtocolError, match="different software"):
        other.agree(ResidueChannel(STUDY, "two", first=True).hello())


def test_no_handshake_of_row_and_column_party_is_taken_for_one_of_column_parties() -> None:
    first, _ = ends()
    digest = residue_channel.software_digest()
    with pytest.raises(ProtocolError, match="different studies"):
        first.agree(handshake.Handshake("column", STUDY, digest).hello.encode())


def test_whoever_changes_a_hello_is_not_confirmed() -> None:
    first, other = ends()
    third = ends()[1]
    confirmation = first.agree(third.hello())
    other.agree(first_hello := ends()[0].hello())
    assert first_hello
    with pytest.raises(ProtocolError, match="did not confirm"):
        other.confirm(confirmation)


def test_it_goes_on_where_a_party_was_killed() -> None:
    first, other = ends()
    again = ends()[1]
    again.restore(other.export_bytes())
    hello = first.hello()
    confirmation = first.agree(again.hello())
    first.confirm(again.agree(hello))
    again.confirm(confirmation)
    later = ends()[0]
    later.restore(first.export_bytes())
    assert later.open(again.seal(b"numbers", "residues"), "residues") == b"numbers"


def test_nothing_comes_before_the_handshake_nor_a_second_one_after_it() -> None:
    first, other = ends()
    with pytest.raises(ProtocolError, match="has not taken place"):
        first.seal(b"", "residues")
    first, other = agreed()
    for call in (first.hello, lambda: other.agree(ends()[0].hello())):
        with pytest.raises(ProtocolError, match="is over"):
            call()
