"""A small S3 on the loopback interface, read-only, for PyArrow's real client: buckets are listed, objects read in ranges."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

LISTED = "<Contents><Key>{key}</Key><Size>{size}</Size><LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
LIST = '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><KeyCount>{}</KeyCount>{}</ListBucketResult>'


class _Handler(BaseHTTPRequestHandler):
    objects: dict[str, bytes]  # of the one bucket

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the base class's
        pass

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        _, _, key = unquote(address.path).lstrip("/").partition("/")
        query = parse_qs(address.query)
        if "list-type" in query:
            begun = query.get("prefix", [""])[0]
            keys = sorted(key for key in self.objects if key.startswith(begun))
            listed = "".join(LISTED.format(key=key, size=len(self.objects[key])) for key in keys)
            self._send(200, LIST.format(len(keys), listed).encode())
        elif key in self.objects:
            asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range") or "")
            first, last = map(int, asked.groups()) if asked else (0, len(self.objects[key]))
            self._send(206 if asked else 200, self.objects[key][first : last + 1])
        else:
            self._send(404, b"")

    do_HEAD = do_GET  # noqa: N815 - the names are the base class's

    def _send(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)


@contextmanager
def loopback_s3(objects: dict[str, bytes]) -> Iterator[str]:
    """Serve a bucket; gives the query that an address of PyArrow's needs to find it."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"objects": objects}))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"scheme=http&region=us-east-1&endpoint_override=127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
