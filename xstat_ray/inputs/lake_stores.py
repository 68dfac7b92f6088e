"""Object stores as the packages of Delta and Iceberg want to hear of them: by settings of theirs.

Credentials come from the environment, which both packages read themselves.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from xstat_ray.errors import InputError
from xstat_ray.util.location import Location

_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
_REGIONS = ("AWS_REGION", "AWS_DEFAULT_REGION")


class LakeStore(NamedTuple):
    """Where a table of a lake lies, and the settings for reading it there."""

    uri: str
    """The path, or the URI without the settings."""
    endpoint: str = ""
    """URL of the server; empty is the store's own."""
    region: str = ""
    anonymous: bool = False

    @classmethod
    def of(cls, path: Path | str) -> LakeStore:
        """Read a path or a URI.

        Raises:
            InputError: a URI of an unknown kind, with credentials, or with settings that cannot be
                handed to the packages of the lakes.
        """
        if "://" not in str(path):
            return cls(str(path))
        location = Location.of(path)
        store = location.store
        if store is None:
            return cls(str(location.local))
        uri = store.shown(location.inside)
        options = dict(store.options)
        if store.scheme != "s3":
            if options:
                raise InputError(
                    "settings in the URI of a table of a lake are served for s3:// alone",
                    file=uri,
                    remedy="Leave them out; what the package of the lake reads of the environment "
                    "holds",
                )
            return cls(uri)
        endpoint = options.get("endpoint_override") or _first(_ENDPOINTS)
        if endpoint and "://" not in endpoint:
            endpoint = f"{options.get('scheme', 'https')}://{endpoint}"
        region = options.get("region") or _first(_REGIONS) or ("us-east-1" if endpoint else "")
        return cls(uri, endpoint.rstrip("/"), region, options.get("anonymous") == "true")

    @property
    def for_delta(self) -> dict[str, str]:
        """Settings that deltalake calls `storage_options`."""
        given = {"AWS_ENDPOINT_URL": self.endpoint, "AWS_REGION": self.region}
        if self.endpoint.startswith("http://"):
            given["AWS_ALLOW_HTTP"] = "true"
        if self.anonymous:
            given["AWS_SKIP_SIGNATURE"] = "true"
        return {name: value for name, value in given.items() if value}

    @property
    def for_iceberg(self) -> dict[str, str]:
        """Settings that pyiceberg calls properties of a FileIO."""
        given = {"s3.endpoint": self.endpoint, "s3.region": self.region}
        if self.anonymous:
            given["s3.anonymous"] = "true"
        return {name: value for name, value in given.items() if value}


def _first(names: tuple[str, ...]) -> str:
    return next(filter(None, map(os.environ.get, names)), "")
