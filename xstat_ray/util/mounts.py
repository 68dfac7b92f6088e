"""Tells which files lie on a file system that several hosts may have mounted."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

MOUNTS = Path("/proc/self/mountinfo")
"""What is mounted for this process (proc(5))."""
_NETWORK = re.compile(
    r"9p|afs|beegfs|ceph|cifs|coda|davfs|fhgfs|gfs2?|glusterfs|gpfs|lustre|ncpfs|nfs\d?|ocfs2|"
    r"orangefs|panfs|pvfs2|smb\d?|smbfs|wekafs|"
    r"fuse\.(alluxio\S*|blobfuse\S*|ceph\S*|davfs\S*|gcsfuse|glusterfs|goofys|juicefs|JuiceFS\S*|"
    r"moosefs|mfs\S*|mount-s3|mountpoint-s3|rclone|s3fs|s3ql|smbnetfs|sshfs|hadoop\S*)"
)


def network_file_system(path: Path) -> str | None:
    """The type of the network file system on which a path lies, or would; None where it is local.

    Types that are not known are taken for local ones.
    """
    kind = _type_of(path.resolve())
    return kind if kind is not None and _NETWORK.fullmatch(kind) else None


def _type_of(path: Path) -> str | None:
    found = dict(_mounts())
    return next((found[folder] for folder in (path, *path.parents) if folder in found), None)


def _mounts() -> Iterator[tuple[Path, str]]:
    """Where something is mounted, and the type of its file system; the last one covers others."""
    try:
        lines = MOUNTS.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return
    for line in lines:
        mount, _, system = line.partition(" - ")
        fields = mount.split()
        if len(fields) > 4 and system:
            yield Path(_plain(fields[4])), system.split()[0]


def _plain(text: str) -> str:
    """A path as it is: spaces and the like are written as octal numbers."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)
