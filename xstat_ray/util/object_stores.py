"""Object stores behind URIs: what a URI may say, and the file system of Arrow that serves it."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import parse_qsl, quote, urlencode

import pyarrow as pa
from pyarrow import fs

from xstat_ray.errors import InputError

OPTIONS: Mapping[str, tuple[str, ...]] = {
    "s3": ("endpoint_override", "region", "scheme", "anonymous"),
    "gs": ("endpoint_override", "scheme", "anonymous", "project_id", "retry_limit_seconds"),
    "abfs": ("blob_storage_authority", "dfs_storage_authority", "enable_tls"),
    "abfss": ("blob_storage_authority", "dfs_storage_authority", "enable_tls"),
    "hdfs": ("user", "replication"),
}
"""Settings that a URI of a kind may give behind a question mark. None of them is a credential."""
SCHEMES = tuple(OPTIONS)
_FLAGS = {"anonymous", "enable_tls"}
_OTHER_NAMES = {"s3a": "s3", "s3n": "s3", "gcs": "gs", "wasb": "abfs", "wasbs": "abfss"}
"""What other programs call the same stores."""
NAMES = (*SCHEMES, *_OTHER_NAMES)
"""What the URIs of object stores begin with."""
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
_REGIONS = ("AWS_REGION", "AWS_DEFAULT_REGION")
_ENDPOINT = re.compile(r"(https?://)?[^/:@?#]+(:\d+)?/?")
_PATIENCE = "60"
"""Seconds for which a store of Google that does not answer is asked again; its own are 900."""
_CODE = re.compile(r"AWS Error ([A-Z_]+)")


class Version(NamedTuple):
    """What tells a version of a stored file from others."""

    size: int
    """In bytes."""
    mark: str
    """What the store changes with each version: its number, or a hash; or the time of change."""


_VERSIONS = ("versionid", "generation", "etag")
"""What stores call the mark of a version."""


@dataclass(frozen=True)
class Store:
    """An object store without credentials: they come from the environment of each process."""

    scheme: str
    """One of `SCHEMES`."""
    authority: str
    """What stands before the first slash: bucket, container@account or host:port."""
    options: tuple[tuple[str, str], ...] = ()
    """Settings that the URI gives, sorted by name."""

    def filesystem(self) -> fs.FileSystem:
        """Open the store; once in a process.

        Raises:
            InputError: this installation cannot, or the store does not answer.
        """
        try:
            return _open(self, tuple(os.environ.get(name) for name in (*_ENDPOINTS, *_REGIONS)))
        except (OSError, ValueError, ImportError, pa.ArrowException) as error:
            raise unusable(f"{self.scheme}://{self.authority}", error) from None

    def holds(self, inside: str) -> bool:
        """Whether there is a file at a path, or anything below it.

        Raises:
            InputError: the store cannot be asked.
        """
        try:
            return bool(self.filesystem().get_file_info(inside).type != fs.FileType.NotFound)
        except (OSError, pa.ArrowException) as error:
            raise unusable(self.shown(inside), error) from None

    def list_files(self, inside: str) -> list[fs.FileInfo]:
        """List the files at a path, or below it; none where there is nothing.

        Raises:
            InputError: the store cannot be asked.
        """
        try:
            found = self.filesystem().get_file_info(inside)
            if found.type != fs.FileType.Directory:
                return [] if found.type == fs.FileType.NotFound else [found]
            below = self.filesystem().get_file_info(fs.FileSelector(inside, recursive=True))
        except (OSError, pa.ArrowException) as error:
            raise unusable(self.shown(inside), error) from None
        return [info for info in below if info.type == fs.FileType.File]

    def version(self, inside: str) -> Version | None:
        """Look up which version of a file there is, by one request; None where there is no file.

        Raises:
            InputError: the store cannot be asked.
        """
        found = self._look(inside, whole=False)
        return None if found is None else found[0]

    def fetch(self, inside: str) -> tuple[Version, pa.Buffer] | None:
        """Look up a version, and read a whole file, which may have been replaced in between.

        Raises:
            InputError: the store cannot be asked.
        """
        return self._look(inside, whole=True)

    def _look(self, inside: str, *, whole: bool) -> tuple[Version, pa.Buffer] | None:
        try:
            with self.filesystem().open_input_file(inside) as file:
                size = file.size()
                facts = {name.lower(): value for name, value in file.metadata().items()}
                content = file.read_buffer(size) if whole else pa.py_buffer(b"")
            known = [facts[name].decode(errors="replace") for name in _VERSIONS if name in facts]
            if not known:
                known = [str(self.filesystem().get_file_info(inside).mtime_ns)]
        except FileNotFoundError:
            return None
        except (OSError, pa.ArrowException) as error:
            raise unusable(self.shown(inside), error) from None
        return Version(size, " ".join(known)), content

    def put(self, inside: str, content: bytes) -> None:
        """Write a file, which others see as a whole once it is there.

        Raises:
            InputError: the store does not take it.
        """
        try:
            put_whole(self.filesystem(), inside, content)
        except (OSError, pa.ArrowException) as error:
            raise unusable(self.shown(inside), error) from None

    def shown(self, inside: str) -> str:
        """Write the URI of a path in the store without the settings."""
        if self.scheme in ("s3", "gs"):
            return f"{self.scheme}://{inside}"
        rest = inside if self.scheme == "hdfs" else "/" + inside.partition("/")[2]
        return f"{self.scheme}://{self.authority}{rest}".rstrip("/")

    def uri(self, inside: str) -> str:
        """Write the URI of a path in the store, with the settings."""
        settings = urlencode(self.options, safe="/:")
        return self.shown(inside) + (f"?{settings}" if settings else "")


def parse_uri(text: str) -> tuple[Store, str]:
    """Divide a URI into the store and the path in it, which is taken as it is written.

    Raises:
        InputError: a URI of an unknown kind, without a bucket, or with credentials in it; the
            message repeats nothing of what could be one.
    """
    scheme, _, rest = text.partition("://")
    scheme = scheme.lower()
    shown = f"{scheme}://..."
    if scheme not in SCHEMES:
        other = _OTHER_NAMES.get(scheme)
        known = ", ".join(f"{name}://" for name in SCHEMES)
        remedy = f"Write {other}://" if other else f"Use a path of a disk, or {known}"
        raise InputError(f"{scheme}:// cannot be served", file=shown, remedy=remedy)
    place, _, query = rest.partition("?")
    authority, _, path = place.partition("/")
    _check_authority(scheme, authority, shown)
    store = Store(scheme, authority, _options(scheme, query, shown))
    path = path.strip("/")
    if scheme == "hdfs":
        return store, f"/{path}"
    return store, f"{authority.partition('@')[0]}/{path}".rstrip("/")


def _check_authority(scheme: str, authority: str, shown: str) -> None:
    known = _AUTHORITIES[scheme]
    if not known.form.fullmatch(authority):
        if ":" in authority or "@" in authority.lstrip("@"):
            raise _with_credentials(shown)
        raise InputError(f"the URI names no {known.what}", file=shown, remedy=known.remedy)


class _Authority(NamedTuple):
    """What stands before the first slash of a URI."""

    form: re.Pattern[str]
    what: str
    remedy: str


_BUCKET = _Authority(re.compile(r"[^:@]+"), "bucket", "Write it behind the two slashes")
_CONTAINER = _Authority(
    re.compile(r"[^:@]+@[^:@]+(:\d+)?"), "container and account", "Write container@account"
)
_HOST = _Authority(re.compile(r"[^:@]+(:\d+)?"), "host", "Write host:port")
_AUTHORITIES: Mapping[str, _Authority] = {
    "s3": _BUCKET,
    "gs": _BUCKET,
    "abfs": _CONTAINER,
    "abfss": _CONTAINER,
    "hdfs": _HOST,
}


def _options(scheme: str, query: str, shown: str) -> tuple[tuple[str, str], ...]:
    known = OPTIONS[scheme]
    given = dict(parse_qsl(query, keep_blank_values=True))
    if query and (not given or any(name not in known for name in given)):
        # Names are not repeated either, as a slip can put a key in the place of one.
        raise InputError(
            f"the URI has settings that are not among {', '.join(known)}",
            file=shown,
            remedy=_REMEDY,
        )
    if any("@" in value for value in given.values()):
        raise _with_credentials(shown)
    if not _ENDPOINT.fullmatch(given.get("endpoint_override", "host")):
        remedy = "Write host:port or http://host:port, and put the settings at the end of the URI"
        raise InputError("endpoint_override is no host", file=shown, remedy=remedy)
    for name in _FLAGS & given.keys():
        if given[name] not in ("true", "false"):
            raise InputError(f"{name} is neither true nor false", file=shown, remedy="Write true")
    return tuple(sorted(given.items()))


_REMEDY = (
    "Give credentials by the environment alone, such as AWS_ACCESS_KEY_ID and "
    "AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
)


def _with_credentials(shown: str) -> InputError:
    return InputError(
        "the URI has credentials in it, which would be written to logs and configurations",
        file=shown,
        remedy=_REMEDY,
    )


@lru_cache(maxsize=64)
def _open(store: Store, environment: tuple[str | None, ...]) -> fs.FileSystem:
    """Open a store; `environment` is what it depends on beside the credentials."""
    if store.scheme == "s3":
        return _open_s3(store, environment)
    options = dict(store.options)
    if store.scheme == "gs":
        options.setdefault("retry_limit_seconds", _PATIENCE)
    authority = store.authority
    if options.pop("anonymous", None) == "true":
        authority = f"anonymous@{authority}"
    query = urlencode(options)
    return fs.FileSystem.from_uri(
        f"{store.scheme}://{quote(authority, safe='@:')}/{'?' if query else ''}{query}"
    )[0]


def _open_s3(store: Store, environment: tuple[str | None, ...]) -> fs.FileSystem:
    options = dict(store.options)
    endpoint = options.get("endpoint_override") or next(filter(None, environment[:2]), "")
    scheme, _, host = endpoint.rpartition("://")
    region = options.get("region") or next(filter(None, environment[2:]), None)
    if region is None:
        region = "us-east-1" if endpoint else fs.resolve_s3_region(store.authority)
    return fs.S3FileSystem(
        anonymous=options.get("anonymous") == "true",
        region=region,
        scheme=options.get("scheme") or scheme or "https",
        endpoint_override=host.rstrip("/") or None,
        # An object of less than ten megabytes takes one request.
        allow_delayed_open=True,
    )


_KNOWN = {
    "ACCESS_DENIED": "access is denied",
    "NO_SUCH_BUCKET": "there is no such bucket",
    "INVALID_ACCESS_KEY_ID": "it does not know the access key",
    "SIGNATURE_DOES_NOT_MATCH": "the secret key is not the right one",
    "NETWORK_CONNECTION": "it cannot be reached",
    "SLOW_DOWN": "it asks to send fewer requests",
    "EXPIRED_TOKEN": "the session has expired",
}
"""What the codes of errors of S3 mean."""


def put_whole(filesystem: fs.FileSystem, path: str, content: bytes) -> None:
    """Write a file that others see as a whole once it is there.

    Raises:
        OSError: the store does not take it; what was there stays.
    """
    # HDFS shows a file while it is written, and can rename one; the others do neither.
    renamed = filesystem.type_name == "hdfs"
    written = f"{path}.{secrets.token_hex(8)}.partial" if renamed else path
    with filesystem.open_output_stream(written, compression=None) as stream:
        stream.write(content)
    if renamed:
        if filesystem.get_file_info(path).type == fs.FileType.File:
            filesystem.delete_file(path)
        filesystem.move(written, path)


def is_answer(error: Exception) -> bool:
    """Whether an error is what an object store answered, or that it did not answer."""
    return isinstance(error, FileNotFoundError | PermissionError) or any(
        mark in str(error) for mark in _ANSWERS
    )


_ANSWERS = ("AWS Error", "HTTP status", "google::cloud", "Azure", "HDFS")


def reason_of(error: Exception) -> str:
    """Tell why a place cannot be used, without what an object store answered.

    An answer may repeat the access key or parts of a request.
    """
    code = _CODE.search(str(error))
    if code is not None:
        return _KNOWN.get(code[1], f"error {code[1]}")
    if isinstance(error, OSError) and error.errno is not None:
        return os.strerror(error.errno)
    if "libjvm" in str(error) or "libhdfs" in str(error):
        return "Java or Hadoop's libhdfs is not installed"
    if isinstance(error, FileNotFoundError):
        return "there is no such object or bucket"
    return type(error).__name__


def unusable(shown: str, error: Exception) -> InputError:
    """Make the error for an object store that cannot be used; see `reason_of`."""
    return InputError(
        f"the object store cannot be used: {reason_of(error)}",
        file=shown,
        remedy="Check bucket, region, endpoint_override and the credentials in the environment",
    )
