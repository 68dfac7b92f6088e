"""The digests that both sides compare cover the whole package, not one of its rooms."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

import xstat_ray
from xstat_ray.util.software_digest import installed_files, software_digest

PACKAGE = Path(xstat_ray.__file__).parent


def digest(files: Iterable[Path]) -> bytes:
    """SHA-256 over length, name, length and content of each file, in the order of their paths."""
    content = b""
    for file in sorted(files):
        for part in (str(file.relative_to(PACKAGE)).encode(), file.read_bytes()):
            content += len(part).to_bytes(8, "little") + part
    return hashlib.sha256(content).digest()


def test_the_software_digest_covers_every_python_file_of_the_package() -> None:
    files = list(PACKAGE.rglob("*.py"))
    assert {"protocol.py", "party.py", "least_squares.py"} < {file.name for file in files}
    assert software_digest() == digest(files)


def test_the_digest_of_all_files_covers_data_and_compiled_kernels_too() -> None:
    files = [file for file in PACKAGE.rglob("*") if file.is_file()]
    installed = [file for file in files if "__pycache__" not in file.parts]
    assert any(file.suffix == ".so" for file in installed)
    assert installed_files() == digest(installed)


@pytest.mark.parametrize("digest_of_the_package", [software_digest, installed_files])
def test_a_change_in_any_room_changes_the_digest(
    digest_of_the_package: Callable[[], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    read = Path.read_bytes
    before = digest_of_the_package()

    def changed(path: Path) -> bytes:
        return read(path) + (b"#" if path == PACKAGE / "roles" / "party.py" else b"")

    monkeypatch.setattr(Path, "read_bytes", changed)
    assert digest_of_the_package.__wrapped__() != before
