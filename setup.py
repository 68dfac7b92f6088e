"""The packages and the optional extension; everything else is in pyproject.toml.

The folders `jobs` and `conf` of the repository are installed inside the package, as
`xstat_ray.jobs` and `xstat_ray.conf`.

Without a C compiler the package installs without it and says so, and works on gmpy2 and numpy.
For other processors than x86-64 the sources compile to a module without kernels, and the package
works on gmpy2 and numpy too. No machine flags are needed: the functions that use wide
instructions are marked one by one.
"""

from __future__ import annotations

import sys
from pathlib import Path

from setuptools import Extension, find_packages, setup
from setuptools.command.build_ext import build_ext

NATIVE = Path("xstat_ray/crypto/kernels/native")
INSIDE = {"xstat_ray.jobs": "jobs", "xstat_ray.conf": "conf"}


class BuildIfPossible(build_ext):
    """Says in plain words what it means that an optional extension could not be built."""

    def run(self) -> None:
        """Build; whether it worked is seen from the files."""
        super().run()
        missing = [
            extension
            for extension in self.extensions
            if not Path(self.get_ext_fullpath(extension.name)).exists()
        ]
        if missing:
            message = (
                "The native kernels were not built: xstat-ray works without them, "
                "but encryption takes 6 to 10 times as long."
            )
            print(message, file=sys.stderr)  # noqa: T201 - there is no logger during installation


setup(
    packages=[*find_packages(include=["xstat_ray*"]), *INSIDE],
    package_dir=INSIDE,
    cmdclass={"build_ext": BuildIfPossible},
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
