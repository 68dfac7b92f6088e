"""A server of S3 on this machine (moto), started once in a session of tests, and buckets in it."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pyarrow import fs

CANARY = "CaNaRyS3wJalrXUtnFEMI"
"""What the credentials hold, so that they are found wherever they turn up."""
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": f"AKIA{CANARY}",
    "AWS_SECRET_ACCESS_KEY": f"secret{CANARY}",
    "AWS_SESSION_TOKEN": f"token{CANARY}",
    "AWS_EC2_METADATA_DISABLED": "true",
}


class Server:
    """The server: what it was asked, and what it refuses."""

    def __init__(self) -> None:
        # Importing it takes a second, which tests without a bucket need not wait.
        from moto.server import ThreadedMotoServer

        self._moto = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        self._moto.start()
        self.port = self._moto.get_host_and_port()[1]
        self._app = self._moto._server.app
        self._moto._server.app = self._answer
        self.requests: list[tuple[str, str, str]] = []
        """Method, path and range of all requests of a test."""
        self.fault: Callable[[str, str], str | None] = lambda method, path: None
        """Called with method and path of every request; a status that it gives is answered, and
        nothing is done."""

    def _answer(self, environ: dict[str, Any], start_response: Any) -> Any:
        method = environ["REQUEST_METHOD"]
        path = environ["PATH_INFO"] + ("?" + q if (q := environ.get("QUERY_STRING")) else "")
        self.requests.append((method, path, environ.get("HTTP_RANGE", "")))
        if (status := self.fault(method, path)) is not None:
            # The whole request is read, as a client waits for that.
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            start_response(status, [("Content-Type", "application/xml")])
            return [f"<Error><Code>AccessDenied</Code><Message>{CANARY}</Message></Error>".encode()]
        return self._app(environ, start_response)

    def stop(self) -> None:
        self._moto.stop()


class Bucket:
    """A bucket of its own for a test."""

    def __init__(self, server: Server, name: str) -> None:
        self.server = server
        self.name = name
        self.endpoint = f"http://127.0.0.1:{server.port}"
        self.files = fs.S3FileSystem(
            access_key="admin",
            secret_key="admin",
            region="us-east-1",
            scheme="http",
            endpoint_override=f"127.0.0.1:{server.port}",
            allow_bucket_creation=True,
        )
        self.files.create_dir(name)
        self.options = f"?endpoint_override={self.endpoint}&region=us-east-1"

    def uri(self, key: str) -> str:
        """The URI of an object, or of all below it."""
        return f"s3://{self.name}/{key}{self.options}"

    def put(self, key: str, content: bytes) -> str:
        """Store an object; returns its URI."""
        with self.files.open_output_stream(f"{self.name}/{key}", compression=None) as stream:
            stream.write(content)
        return self.uri(key)

    def copy(self, path: Path, key: str) -> str:
        """Store a file, or all files below a folder; returns the URI."""
        if path.is_file():
            return self.put(key, path.read_bytes())
        for file in sorted(path.rglob("*")):
            if file.is_file():
                self.put(f"{key}/{file.relative_to(path).as_posix()}", file.read_bytes())
        return self.uri(key)

    def objects(self, below: str = "") -> dict[str, bytes]:
        """All objects below a place, by name."""
        root = f"{self.name}/{below}".rstrip("/")
        selector = fs.FileSelector(root, recursive=True, allow_not_found=True)
        found = [i.path for i in self.files.get_file_info(selector) if i.type == fs.FileType.File]
        return {
            path[len(root) + 1 :]: self.files.open_input_file(path).read() for path in sorted(found)
        }


@pytest.fixture(scope="session")
def s3_server() -> Iterator[Server]:
    """The server."""
    server = Server()
    yield server
    server.stop()


@pytest.fixture
def bucket(s3_server: Server, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """An empty bucket, for which this process and its children have credentials."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    s3_server.fault = lambda method, path: None
    made = Bucket(s3_server, f"bucket-{secrets.token_hex(4)}")
    s3_server.requests.clear()
    return made
