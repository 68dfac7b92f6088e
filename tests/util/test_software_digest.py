"""The digests that both sides compare cover the whole package, not one of its rooms."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import xstat_ray
from xstat_ray.util.software_digest import installed_files, software_digest

PACKAGE = Path(xstat_ray.__file__).parent
ROOT = PACKAGE.parent
DIGESTS = (software_digest, installed_files)


def installed(root: Path = ROOT) -> dict[str, Path]:
    """The files of a checkout by their names in an installed package."""
    folders = {"": root / "xstat_ray", "jobs/": root / "jobs", "conf/": root / "conf"}
    return {
        beginning + file.relative_to(folder).as_posix(): file
        for beginning, folder in folders.items()
        for file in folder.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }


def digest(files: dict[str, Path]) -> bytes:
    """SHA-256 over length, name, length and content of each file, in the order of their names."""
    content = b""
    for name, file in sorted(files.items()):
        for part in (name.encode(), file.read_bytes()):
            content += len(part).to_bytes(8, "little") + part
    return hashlib.sha256(content).digest()


def test_the_software_digest_covers_every_python_file_of_the_package_and_of_the_jobs() -> None:
    files = {name: file for name, file in installed().items() if name.endswith(".py")}
    assert {"protocol.py", "roles/party.py", "jobs/crosstab.py"} < files.keys()
    assert software_digest() == digest(files)


def test_the_digest_of_all_files_covers_data_studies_and_compiled_kernels_too() -> None:
    files = installed()
    assert {"conf/crosstab.yaml", "conf/study/nycflights.yaml"} < files.keys()
    assert any(name.endswith(".so") for name in files)
    assert installed_files() == digest(files)


def test_a_wheel_and_a_checkout_have_the_same_digests(tmp_path: Path) -> None:
    """A copy of the files as a wheel installs them, with the jobs and the configuration inside."""
    for name, file in installed().items():
        copy = tmp_path / "xstat_ray" / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, copy)
    code = (
        "from xstat_ray.util.software_digest import installed_files, software_digest\n"
        "print(software_digest().hex(), installed_files().hex())"
    )
    environment = os.environ | {"PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.stdout.split() == [function().hex() for function in DIGESTS], done.stderr


@pytest.mark.parametrize("file", [PACKAGE / "roles" / "party.py", ROOT / "jobs" / "crosstab.py"])
@pytest.mark.parametrize("digest_of_the_package", DIGESTS)
def test_a_change_in_any_room_changes_the_digest(
    digest_of_the_package: Callable[[], bytes], file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = Path.read_bytes
    before = digest_of_the_package()

    def changed(path: Path) -> bytes:
        return read(path) + (b"#" if path == file else b"")

    monkeypatch.setattr(Path, "read_bytes", changed)
    assert digest_of_the_package.__wrapped__() != before
