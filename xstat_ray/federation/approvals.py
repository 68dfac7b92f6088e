"""Approvals: each domain signs the collaboration of a run, or nothing leaves any domain.

An approval is a file of the exchange with the whole collaboration and one signature. What it says
is compared with the collaboration that a domain makes from its own settings, so that nobody runs
anything but what it has approved itself.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from xstat_ray.errors import ApprovalError, MessageError
from xstat_ray.federation.collaboration import Collaboration
from xstat_ray.federation.envelope import canonical
from xstat_ray.federation.exchange import Exchange
from xstat_ray.federation.identity import Domain, Identity, Peers

FOLDER = "approvals"
"""Folder of a run in the exchange with the domains' approvals."""
_SIGNED_AS = b"xstat-ray approval\0"
_FIELDS = {"collaboration": dict, "domain": str, "signature": str}
_SHOWN_DIFFERENCES = 5


def approve(
    exchange: Exchange, collaboration: Collaboration, domain: Domain, identity: Identity
) -> None:
    """Sign a collaboration for a domain, and hand the approval out.

    Raises:
        InputError: the exchange cannot be written to.
    """
    signature = identity.sign(signed_text(domain, collaboration.digest)).hex()
    approval = {
        "collaboration": collaboration.content,
        "domain": domain,
        "signature": signature,
    }
    exchange.put(file_name(domain), canonical(approval))


def check_approvals(
    exchange: Exchange, collaboration: Collaboration, peers: Peers
) -> dict[Domain, str]:
    """Check that all domains have approved a collaboration.

    Args:
        exchange: where the approvals lie.
        collaboration: what this domain is about to run.
        peers: the public keys of all domains.

    Returns:
        The signatures, in hex, by domain.

    Raises:
        ApprovalError: approvals are missing; names the domains.
        MessageError: an approval is malformed, of another collaboration, or signed by another key.
    """
    found = {name: exchange.get(file_name(name)) for name in collaboration.domains}
    if missing := [name for name, content in found.items() if content is None]:
        raise ApprovalError(missing)
    return {
        name: _signature(name, content, collaboration, peers)
        for name, content in found.items()
        if content is not None
    }


def approvers(exchange: Exchange, collaboration: Collaboration, peers: Peers) -> list[Domain]:
    """List the domains that have approved this collaboration, as far as it is known."""
    approved = list[Domain]()
    for name in collaboration.domains:
        content = exchange.get(file_name(name))
        try:
            if content is not None:
                _signature(name, content, collaboration, peers)
                approved.append(name)
        except MessageError:
            continue
    return approved


def file_name(domain: Domain) -> str:
    """Path of a domain's approval below the folder of its run."""
    return f"{FOLDER}/{domain}.json"


def signed_text(domain: Domain, digest: str) -> bytes:
    """Make the bytes that a domain signs to approve the collaboration with a digest, in hex."""
    return _SIGNED_AS + domain.encode() + b"\0" + bytes.fromhex(digest)


def _signature(name: Domain, content: bytes, agreed: Collaboration, peers: Peers) -> str:
    approval = _read(name, content)
    differing = agreed.differing(approval["collaboration"])
    if differing:
        shown = ", ".join(differing[:_SHOWN_DIFFERENCES])
        more = f" and {len(differing) - _SHOWN_DIFFERENCES} more"
        told = shown + (more if len(differing) > _SHOWN_DIFFERENCES else "")
        raise MessageError(
            file_name(name), f"it approves another collaboration than this domain's: {told}"
        )
    signature = approval["signature"]
    try:
        signed = peers.signed(name, signed_text(name, agreed.digest), bytes.fromhex(signature))
    except ValueError:
        signed = False
    if not signed:
        raise MessageError(file_name(name), f"it is not signed by the key of {name}")
    return str(signature)


def _read(name: Domain, content: bytes) -> Mapping[str, Any]:
    try:
        raw = json.loads(content)
        typed = isinstance(raw, dict) and {key: type(of) for key, of in raw.items()} == _FIELDS
        if typed and canonical(raw) == content and raw["domain"] == name:
            return dict(raw)
    except (ValueError, TypeError, RecursionError):
        pass
    raise MessageError(file_name(name), "it is malformed")
