"""Network file systems are known by the table of mounts."""

from __future__ import annotations

from pathlib import Path

import pytest

from xstat_ray.util import mounts
from xstat_ray.util.mounts import network_file_system

LOCAL = """\
22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard
30 27 0:27 / /dev/shm rw - tmpfs tmpfs rw
"""


@pytest.fixture
def mount(tmp_path, monkeypatch):
    """Writes a table of mounts with further lines, each a path and a type."""

    def write(*points):
        lines = [
            f"{40 + i} 27 0:9{i} / {path} rw,relatime shared:3 - {kind} server:/x rw\n"
            for i, (path, kind) in enumerate(points)
        ]
        table = tmp_path / "mountinfo"
        table.write_text(LOCAL + "".join(lines))
        monkeypatch.setattr(mounts, "MOUNTS", table)

    return write


@pytest.mark.parametrize(
    "kind",
    ["nfs", "nfs4", "cifs", "smb3", "fuse.sshfs", "9p", "ceph", "fuse.ceph-fuse", "lustre", "gpfs"],
)
def test_a_path_below_a_network_mount_is_on_it(mount, kind):
    mount(("/srv/shared", kind))
    assert network_file_system(Path("/srv/shared/a/ledger.sqlite")) == kind
    assert network_file_system(Path("/srv/shared")) == kind
    assert network_file_system(Path("/srv/sharedness/ledger.sqlite")) is None
    assert network_file_system(Path("/srv/ledger.sqlite")) is None


@pytest.mark.parametrize(
    "kind", ["ext4", "xfs", "btrfs", "zfs", "overlay", "tmpfs", "fuse.mergerfs"]
)
def test_a_local_mount_is_none(mount, kind):
    mount(("/srv", kind))
    assert network_file_system(Path("/srv/ledger.sqlite")) is None


def test_the_innermost_mount_counts_and_of_two_at_one_place_the_last(mount):
    mount(("/srv", "nfs4"), ("/srv/disk", "ext4"), ("/data", "ext4"), ("/data", "cifs"))
    assert network_file_system(Path("/srv/disk/ledger.sqlite")) is None
    assert network_file_system(Path("/srv/ledger.sqlite")) == "nfs4"
    assert network_file_system(Path("/data/ledger.sqlite")) == "cifs"


def test_paths_with_spaces_and_links_are_followed(mount, tmp_path):
    folder = tmp_path / "with space"
    folder.mkdir()
    (tmp_path / "link").symlink_to(folder)
    mount((str(folder).replace(" ", "\\040"), "nfs"))
    assert network_file_system(folder / "ledger.sqlite") == "nfs"
    assert network_file_system(tmp_path / "link" / "ledger.sqlite") == "nfs"


def test_the_root_itself_may_be_one_and_without_a_table_nothing_is_known(
    mount, monkeypatch, tmp_path
):
    mount(("/", "9p"))
    assert network_file_system(Path("/home/ledger.sqlite")) == "9p"
    monkeypatch.setattr(mounts, "MOUNTS", tmp_path / "none")
    assert network_file_system(Path("/home/ledger.sqlite")) is None
