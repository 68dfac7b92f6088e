"""A domain's signing key and the private folder that it lies in."""

from __future__ import annotations

import os
import stat

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from xstat_ray.errors import InputError
from xstat_ray.federation.identity import Identity, Peers, private_folder


def test_made_once_and_read_again(tmp_path):
    path = tmp_path / "own" / "identity.pem"
    first = Identity.create(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert Identity.create(path).public == Identity.load(path).public == first.public
    assert len(first.public) == 32


def test_signatures(tmp_path):
    pinned, stranger = (Identity.create(tmp_path / name) for name in ("one", "other"))
    peers = Peers({"row": pinned.public})
    assert peers.signed("row", b"data", pinned.sign(b"data"))
    assert not peers.signed("row", b"data", stranger.sign(b"data"))
    assert not peers.signed("row", b"other", pinned.sign(b"data"))
    assert not peers.signed("column", b"data", pinned.sign(b"data"))
    assert not peers.signed("row", b"data", b"")
    assert not Peers({"row": b"short"}).signed("row", b"data", pinned.sign(b"data"))


def test_it_refuses_to_travel(tmp_path):
    identity = Identity.create(tmp_path / "identity.pem")
    with pytest.raises(TypeError, match="refuses to travel"):
        __import__("pickle").dumps(identity)
    assert "redacted" in repr(identity)


def test_a_file_that_others_may_read_is_refused(tmp_path):
    path = tmp_path / "identity.pem"
    Identity.create(path)
    path.chmod(0o640)
    with pytest.raises(InputError, match="others may read the identity"):
        Identity.load(path)


def test_no_file_or_another_key(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        Identity.load(tmp_path / "nothing")
    path = tmp_path / "identity.pem"
    rsa = generate_private_key(65537, 2048).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    for content in (b"", b"no key", rsa):
        path.write_bytes(content)
        path.chmod(0o600)
        with pytest.raises(InputError, match="not an identity"):
            Identity.load(path)


def test_private_folders(tmp_path):
    folder = private_folder(tmp_path / "a" / "b")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert private_folder(folder) == folder
    for mode in (0o750, 0o705, 0o711):
        folder.chmod(mode)
        with pytest.raises(InputError, match="others may enter"):
            private_folder(folder)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError):
        private_folder(tmp_path / "file" / "in")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_someone_else(tmp_path):
    folder = private_folder(tmp_path / "theirs")
    os.chown(folder, 12345, 12345)
    with pytest.raises(InputError, match="others may enter"):
        private_folder(folder)
