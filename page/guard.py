"""What stands before the page: nothing that it does not use is open, its addresses come from no visitor, and every answer has
the headers that keep browsers careful. ASGI."""

import ipaddress
import os
import re
from collections import Counter, deque
from collections.abc import MutableMapping
from contextlib import AbstractContextManager, ExitStack
from http import HTTPStatus
from operator import itemgetter
from typing import Any

from gradio.queueing import Event, Queue
from gradio.route_utils import FnIndexInferError
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from page.limits import CALL, FRAME, RETRY, Bound, BusyError, Lane, TooLargeError
from page.live import tell_too_large
from page.uploads import Uploads
from page.visitors import address

HOSTS_VARIABLE = "FASHION_CLASSIFIER_HOSTS"  # names that the page is reached by, separated by commas
OPEN = re.compile(
    r"/(?:$|(?:health|v1|config|assets|static|svelte|theme\.css|favicon\.ico|robots\.txt|manifest\.json|pwa_icon)(?:/|$)"
    r"|gradio_api/(?:info|openapi\.json|upload|upload_progress|call|run|api|queue|cancel|reset|heartbeat|startup-events"
    r"|theme\.css|app_id|user|login_check|mcp)(?:/|$)|gradio_api/stream/[0-9a-f]{32}(?:/close)?/?$|gradio_api/file=(?!\w{2,}:))"
)
"""Paths that are served: those of plain HTTP, and of Gradio those that the page and its clients use; files by their path alone,
which Gradio checks, so that no address is fetched."""
CALLS = re.compile(r"/gradio_api/(?:call|run|api|queue)/")
JOIN = re.compile(r"/gradio_api/(?:call/(?:v2/)?[^/]+|queue/join)/?$")
WAITING_EACH = 40  # calls of one visitor in Gradio's queue, which holds more
UPLOAD = "/gradio_api/upload"
STREAM = re.compile(r"/gradio_api/stream/(\w+)(?:/close)?/?$")
MAX_UPLOAD = 500_000_000  # bytes of all files that are sent at once; of each one Gradio bounds the size
MAX_VALUES = 100_000  # about, in a body of JSON: an empty list of 3 bytes takes 64, and a second as many when Gradio copies it
LARGE = 2**20  # bytes of a body of JSON, above which few arrive at once: each takes thrice as much until it is read
LARGE_AT_ONCE, LARGE_EACH = 6, 2  # of all visitors and of one
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    # a Space is shown in a frame of the Hub's
    "Content-Security-Policy": "frame-ancestors 'self' https://huggingface.co https://*.hf.space; object-src 'none'",
}
DOCS = "/v1/docs"
# of the page that describes plain HTTP: its script stands in it, and nothing comes from elsewhere
DOCS_POLICY = f"{HEADERS['Content-Security-Policy']}; default-src 'self' 'unsafe-inline' data:"


class Guard:
    """Middleware."""

    def __init__(self, app: ASGIApp, uploads: Uploads, queue: Queue) -> None:
        self._app, self._uploads, self._queue = app, uploads, queue
        self._large = Lane("large calls", LARGE_AT_ONCE, LARGE_EACH)
        self._space = os.environ.get("SPACE_HOST", "")
        self._hosts = {"localhost", *os.environ.get(HOSTS_VARIABLE, "").split(","), *self._space.split(",")} - {""}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                if scope["path"] == DOCS:
                    headers["Content-Security-Policy"] = DOCS_POLICY
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        async def refuse(status: int, text: str, retry: dict[str, str] | None = None) -> None:
            await JSONResponse({"error": text}, status, retry)(scope, receive, send_with_headers)

        headers = Headers(scope=scope)
        if not self._knows(headers.get("host", "")):
            name = f"{headers.get('host', '')!r:.80}"
            await refuse(400, f"Unknown host {name}; name it in the variable {HOSTS_VARIABLE} of the server.")
            return
        if not OPEN.match(scope["path"]):
            await refuse(404, "Not found.")
            return
        if JOIN.match(scope["path"]) and self._waiting(address(headers, _host(scope))) >= WAITING_EACH:
            told = f"{WAITING_EACH} calls of yours are waiting already; try again when they are answered."
            await refuse(HTTPStatus.SERVICE_UNAVAILABLE, told, {"Retry-After": str(RETRY)})
            return
        try:
            received = await self._received(scope, receive)
            await self._app({**scope, "headers": self._believed(headers)}, received, send_with_headers)
            if JOIN.match(scope["path"]):
                self._let_visitors_take_turns()
        except Exception as error:
            answer = _answer(scope["path"], error)
            if answer is None or started:
                raise
            await refuse(*answer, {"Retry-After": str(error.seconds)} if isinstance(error, BusyError) else None)

    def _waiting(self, visitor: str) -> int:
        """How many calls of a visitor wait in Gradio's queue."""
        queues = self._queue.event_queue_per_concurrency_id.values()
        return sum(_caller(event) == visitor for queue in queues for event in queue.queue)

    def _let_visitors_take_turns(self) -> None:
        """Put the first call of each visitor before anybody's second one, and so on."""
        for queue in self._queue.event_queue_per_concurrency_id.values():
            before: Counter[str] = Counter()
            ranks = []
            for event in queue.queue:
                ranks.append(before[_caller(event)])
                before[_caller(event)] += 1
            queue.queue[:] = [event for _, event in sorted(zip(ranks, queue.queue, strict=True), key=itemgetter(0))]

    async def _received(self, scope: Scope, receive: Receive) -> Receive:
        """What arrives, as far as it is taken."""
        if scope["path"].rstrip("/") == UPLOAD:
            return self._counted(scope, receive)
        if scope["path"].startswith("/v1/"):  # bounds it itself
            return receive
        headers = Headers(scope=scope)
        declared, place = int(headers.get("content-length", 0)), self._large.place(address(headers, _host(scope)))
        if not (stream := STREAM.match(scope["path"])):
            return await _whole(receive, declared, CALL, place)
        try:
            return await _whole(receive, declared, FRAME, place)
        except TooLargeError:
            tell_too_large(self._queue, stream[1])  # browsers do not look at what a frame is answered with
            raise

    def _counted(self, scope: Scope, receive: Receive) -> Receive:
        """What arrives as an upload, as far as it is taken."""
        visitor, total = address(Headers(scope=scope), _host(scope)), 0

        async def counted() -> Message:
            nonlocal total
            message = await receive()
            size = len(message.get("body", b""))
            total += size
            if total > MAX_UPLOAD:
                raise TooLargeError(f"The files have more than {MAX_UPLOAD:,} bytes together; send fewer at once.")
            self._uploads.take(visitor, size)
            return message

        return counted

    def _knows(self, host: str) -> bool:
        """Whether this is an address, which no web page can make its own, or a name that this server is known by."""
        name = host.rpartition(":")[0] if re.search(r":\d+$", host) else host
        try:
            ipaddress.ip_address(name.strip("[]"))
        except ValueError:
            return bool(self._space) or name.lower() in self._hosts  # the Hub's proxy finds a Space by its name
        return True

    def _believed(self, headers: Headers) -> list[tuple[bytes, bytes]]:
        """Without what a visitor says about where this server is; on a Space its proxy says it."""
        forwarded = headers.get("x-forwarded-host")
        dropped = {b"x-gradio-server"}
        if not self._space or forwarded not in (None, *self._space.split(",")):
            dropped |= {b"x-forwarded-host", b"x-forwarded-proto"}
        return [(name, value) for name, value in headers.raw if name not in dropped]


def _caller(event: Event) -> str:
    """The address that a call in Gradio's queue comes from."""
    return address(event.request.headers, _host(event.request.scope))


async def _whole(receive: Receive, declared: int, bound: Bound, place: AbstractContextManager[None]) -> Receive:
    """A body, received here: where FastAPI receives it, it answers what goes wrong itself. A large one takes a place."""
    bound.check(declared)
    messages: deque[Message] = deque()
    size, values, more, large = 0, 1, True, False
    with ExitStack() as places:
        while more:
            if not large and max(size, declared) > LARGE:
                places.enter_context(place)
                large = True
            messages.append(await receive())
            body, more = messages[-1].get("body", b""), messages[-1].get("more_body", False)
            size += len(body)
            values += sum(map(body.count, (b",", b"[", b"{")))
            bound.check(size)
            if values > MAX_VALUES:
                raise TooLargeError(f"Received a {bound.what} of {values:,} values or more; at most {MAX_VALUES:,} are taken.")

    async def again() -> Message:
        return messages.popleft() if messages else await receive()

    return again


def _host(scope: MutableMapping[str, Any]) -> str:
    """Where a connection comes from."""
    host, _ = scope.get("client") or ("", 0)
    return str(host)


def _answer(path: str, error: Exception) -> tuple[int, str] | None:
    """The status and the sentence for what Gradio has no answer to; None where the fault is not the visitor's."""
    if isinstance(error, TooLargeError):
        return HTTPStatus.REQUEST_ENTITY_TOO_LARGE, str(error)
    if isinstance(error, BusyError):
        return HTTPStatus.SERVICE_UNAVAILABLE, str(error)
    if CALLS.match(path) and isinstance(error, FnIndexInferError | KeyError):
        return HTTPStatus.NOT_FOUND, "There is no such endpoint."
    if STREAM.match(path):
        return HTTPStatus.BAD_REQUEST, "The frame cannot be read; send it as JSON."
    if path.startswith(UPLOAD):
        return HTTPStatus.BAD_REQUEST, "The upload cannot be read; send files with their names as multipart/form-data."
    return None
