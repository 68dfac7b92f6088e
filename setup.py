"""The optional extension; everything else about the package is in pyproject.toml.

Without a C compiler, or on another processor than x86-64, the package installs without it and says so, and works on
gmpy2 and libsodium. No machine flags are needed: the functions that use wide instructions are marked one by one.
"""

from __future__ import annotations

from pathlib import Path

from setuptools import Extension, setup

NATIVE = Path("xstat_ray/crypto/kernels/native")

setup(
    ext_modules=[
        Extension(
            "xstat_ray.crypto.kernels._native",
            sources=sorted(path.as_posix() for path in NATIVE.glob("*.c")),
            depends=sorted(path.as_posix() for path in NATIVE.glob("*.h")),
            extra_compile_args=["-O3", "-std=c11"],
            py_limited_api=True,
            optional=True,
        )
    ],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
