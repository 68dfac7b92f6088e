"""The C kernels on emulated instructions, on every machine that has gcc.

The tests of the kernels run once more in a separate process, as the emulation ends its process
where a lane breaks a bound. The long form has the sanitizers watch every access to memory too.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.crypto.kernels import extension
from tests.sizes import first, slow

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
KNOWN = "test_known_answer.py::test_every_kernel_gives_that_answer[ifma]"
"""Runs emulated beside this file, too, where the processor lacks the instructions."""
SHORT = [
    *([] if extension.emulated() else [KNOWN]),
    "test_avx2.py::test_the_answer_is_that_of_the_portable_kernel",
    "test_aesni.py::test_nothing_is_written_beyond_the_results[17]",
    "test_aesni.py::test_columns_are_padded_with_the_streams_of_their_keys[1-19]",
    "test_sha512.py::test_the_kernels_give_the_first_bytes[16]",
    "test_sha512.py::test_nothing_is_written_beyond_the_results[9-8]",
    "test_extension.py::test_the_valid_calls_are_valid",
]
FAULTLESS = [
    KNOWN,
    *SHORT,
    "test_same_bytes.py::test_zero_without_randomness_is_one[ifma-private_key]",
    "test_avx2.py::test_zero_without_randomness_is_one[private_key]",
    "test_aesni.py::test_blocks_of_items[1025]",
]
"""What sees each of the faults below."""
LONG = [
    "test_known_answer.py",
    "test_same_bytes.py",
    "test_aesni.py",
    "test_sha512.py",
    "test_avx2.py",
    "test_extension.py",
]
OTHERS = "not phe"
"""Tests that have nothing to do with the build."""
WRONG = "test_every_kernel_gives_that_answer"
FAULTS = {
    "limbs that are not cut to 52 bits": (
        "montgomery.h",
        "out[j] = _mm512_and_si512(x, mask);",
        "out[j] = x;",
        "a factor exceeds 52 bits",
    ),
    "a column that takes in another as a whole": (
        "columns.h",
        "_mm512_srli_epi64(u[k], LIMB_BITS)",
        "u[k]",
        "a column overflows",
    ),
    "limbs that are not cut to 28 bits": (
        "squares.h",
        "out[j] = _mm256_and_si256(x, mask);",
        "out[j] = x;",
        "a factor exceeds 32 bits",
    ),
    "a column of four that takes in another as a whole": (
        "squares.h",
        "_mm256_srli_epi64(u[k], LIMB_BITS)",
        "u[k]",
        "a column of four overflows",
    ),
    "a quotient that is taken from nothing": (
        "squares.h",
        "everywhere(p->filler[j])",
        "everywhere(0)",
        "a difference is negative",
    ),
    "a high part that does not learn of the low one": (
        "squares.h",
        "x[LIMBS] = _mm256_add_epi64(x[LIMBS], SIZED(reduce_once)(x, p));",
        "SIZED(reduce_once)(x, p);",
        "test_zero_without_randomness_is_one",
    ),
    "a wrong constant of the key schedule": ("oprf.c", "STEP(9, 0x1b)", "STEP(9, 0x1d)", WRONG),
    "a short text that takes part in the blocks of a long one": (
        "sha512_lanes.h",
        "last[i] & *alive",
        "last[i]",
        WRONG,
    ),
    "a number that is reduced once too seldom": (
        "ciphertexts.h",
        "SIZED(reduce_once)(by_q, &q2);",
        "",
        "test_zero_without_randomness_is_one",
    ),
    "a lane that works on another's row": (
        "ciphertexts.h",
        "messages + index[SIZED(lane)(first, k, n)] * (4 * WORDS)",
        "messages + index[SIZED(lane)(first, 0, n)] * (4 * WORDS)",
        WRONG,
    ),
}
"""What is changed in which file, and what the tests then say."""


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return extension.built_once(tmp_path_factory)


def run(built: Path, tests: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    """Run tests of this folder on an emulated build."""
    command = [sys.executable, "-m", "pytest", "-qxs", "--no-header", "-p", "no:cacheprovider"]
    command += ["-m", "not slow", "-k", OTHERS, *(str(HERE / test) for test in tests)]
    chosen = {extension.CHOSEN: str(built), "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run(
        command, cwd=ROOT, env=os.environ | chosen, capture_output=True, text=True
    )


@pytest.mark.parametrize(
    "tests", first(1, [SHORT, FAULTLESS], slow), ids=["few tests", "more tests"]
)
def test_the_kernels_are_right_and_keep_their_bounds(plain: Path, tests: list[str]) -> None:
    done = run(plain, tests)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "skipped" not in done.stdout


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_every_test_of_the_kernels_under_sanitizers(tmp_path: Path) -> None:
    built = extension.build(tmp_path, extension.SANITIZED)
    libraries = [
        subprocess.check_output(["gcc", f"-print-file-name={name}.so"], text=True).strip()
        for name in ("libasan", "libubsan")
    ]
    done = run(
        built,
        LONG,
        LD_PRELOAD=" ".join(libraries),
        ASAN_OPTIONS="detect_leaks=0",
        PYTHONMALLOC="malloc_debug",
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_seen(fault: str, tmp_path: Path) -> None:
    name, right, wrong, sign = FAULTS[fault]
    source = tmp_path / "native"
    shutil.copytree(extension.SOURCE, source)
    text = (source / name).read_text()
    assert text.count(right) == 1
    (source / name).write_text(text.replace(right, wrong))
    done = run(extension.build(tmp_path, source=source), FAULTLESS)
    assert done.returncode != 0
    assert sign in done.stdout + done.stderr
