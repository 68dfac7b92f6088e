"""An object store for tests, with the part of the S3 protocol that Arrow's file system speaks.

Requests name an access key, which may have rights; signatures are not checked. An object appears
whole when its upload ends, or when an upload in parts is completed; until then it is not there.
"""

from __future__ import annotations

import hashlib
import io
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import BinaryIO, ClassVar
from urllib.parse import parse_qs, unquote, urlsplit

BUCKET = "bucket"
ACCESS_KEY = "test-access-key"
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": ACCESS_KEY,
    "AWS_SECRET_ACCESS_KEY": "any",
    "AWS_EC2_METADATA_DISABLED": "true",
}
"""What a client is told by the operator."""


class Store(BaseHTTPRequestHandler):
    """Answers the requests for one server's objects."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    objects: ClassVar[dict[str, bytes]]
    uploads: ClassVar[dict[str, dict[int, bytes]]]
    requests: ClassVar[list[str]]
    """Their first lines."""
    allows: ClassVar[Callable[[str, str, str], bool]]
    """Whether an access key may use a method on an object, or list those that begin so."""
    fault: ClassVar[Callable[[str], int | None]]
    """Called with the line of every request; a status that it gives is answered, and nothing is
    done."""

    def _answer(self) -> None:
        url = urlsplit(self.path)
        path = unquote(url.path).lstrip("/")
        query = parse_qs(url.query, keep_blank_values=True)
        body = self._body()
        self.requests.append(f"{self.command} {self.path}")
        if (status := self.fault(self.requests[-1])) is not None:
            return self._say(status, b"<Error><Code>AccessDenied</Code></Error>")
        key = re.search(r"Credential=([^/]+)/", self.headers.get("Authorization", ""))
        if key is None or not self.allows(key[1], self.command, query.get("prefix", [path])[0]):
            return self._say(403, b"<Error><Code>AccessDenied</Code></Error>")
        return getattr(self, f"_{self.command.lower()}")(path, query, body)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _answer

    def _body(self) -> bytes:
        """What was sent; less than that if it was cut off."""
        chunked = "chunked" in self.headers.get("Transfer-Encoding", "")
        raw = (
            _chunks(self.rfile)
            if chunked
            else self.rfile.read(int(self.headers.get("Content-Length", 0)))
        )
        return (
            _chunks(io.BytesIO(raw))
            if "aws-chunked" in self.headers.get("Content-Encoding", "")
            else raw
        )

    def _say(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _found(self, path: str) -> None:
        content = self.objects.get(path)
        if content is None:
            return self._say(404, b"<Error><Code>NoSuchKey</Code></Error>")
        status = 200
        bounds = re.match(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if bounds:
            status = 206
            content = content[int(bounds[1]) : int(bounds[2]) + 1 if bounds[2] else None]
        length = {"Content_Length": str(len(content))}
        return self._say(
            status,
            content,
            **length,
            ETag=_tag(content),
            Last_Modified="Mon, 01 Jan 2024 00:00:00 GMT",
        )

    def _head(self, path: str, query: dict[str, list[str]], body: bytes) -> None:
        return self._say(200) if path.rstrip("/") == BUCKET else self._found(path)

    def _get(self, path: str, query: dict[str, list[str]], body: bytes) -> None:
        if "list-type" not in query:
            return self._found(path)
        bucket = path.rstrip("/")
        prefix = query.get("prefix", [""])[0]
        keys = [key for key in sorted(self.objects) if key.startswith(f"{bucket}/{prefix}")][:2]
        entries = "".join(
            f"<Contents><Key>{key[len(bucket) + 1 :]}</Key><Size>1</Size></Contents>"
            for key in keys
        )
        head = f"<KeyCount>{len(keys)}</KeyCount><IsTruncated>false</IsTruncated>"
        text = f"<ListBucketResult>{head}{entries}"
        return self._say(200, f"{text}</ListBucketResult>".encode())

    def _put(self, path: str, query: dict[str, list[str]], body: bytes) -> None:
        if "partNumber" in query:
            self.uploads[query["uploadId"][0]][int(query["partNumber"][0])] = body
        else:
            self.objects[path] = body
        return self._say(200, ETag=_tag(body))

    def _post(self, path: str, query: dict[str, list[str]], body: bytes) -> None:
        if "uploads" in query:
            self.uploads[name := str(len(self.uploads))] = {}
            kind = "InitiateMultipartUploadResult"
            begun = f"<{kind}><UploadId>{name}</UploadId></{kind}>"
            return self._say(200, begun.encode())
        parts = self.uploads.pop(query["uploadId"][0])
        self.objects[path] = b"".join(parts[number] for number in sorted(parts))
        return self._say(200, b"<CompleteMultipartUploadResult></CompleteMultipartUploadResult>")

    def _delete(self, path: str, query: dict[str, list[str]], body: bytes) -> None:
        if "uploadId" in query:
            self.uploads.pop(query["uploadId"][0], None)
        else:
            self.objects.pop(path, None)
        return self._say(204)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


def _chunks(stream: BinaryIO) -> bytes:
    """Chunks of a size in hexadecimal, a line feed, content and a line feed.

    Behind them lines up to an empty one.
    """
    content = b""
    while size := int(stream.readline().partition(b";")[0] or b"0", 16):
        content += stream.read(size)
        stream.readline()
    while stream.readline().strip():
        pass
    return content


def _tag(content: bytes) -> str:
    return f'"{hashlib.sha256(content).hexdigest()}"'


@contextmanager
def serve() -> Iterator[tuple[str, type[Store]]]:
    """An empty store with a bucket: the URI of a place in it, and what it holds."""
    holding = {
        "objects": {},
        "uploads": {},
        "requests": [],
        "fault": staticmethod(lambda request: None),
    }
    holding["allows"] = staticmethod(lambda key, method, path: key == ACCESS_KEY)
    store = type("OneStore", (Store,), holding)
    server = ThreadingHTTPServer(("127.0.0.1", 0), store)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield (
            f"s3://{BUCKET}/shared?scheme=http&endpoint_override=127.0.0.1:{server.server_port}&region=us-east-1",
            store,
        )
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
