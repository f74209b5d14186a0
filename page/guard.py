"""What stands before the page: nothing that it does not use is open, its addresses come from no visitor, and every answer has
the headers that keep browsers careful. ASGI."""

import ipaddress
import os
import re

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HOSTS_VARIABLE = "FASHION_CLASSIFIER_HOSTS"  # names that the page is reached by, separated by commas
OPEN = re.compile(
    r"/(?:$|(?:health|v1|config|assets|static|svelte|theme\.css|favicon\.ico|robots\.txt|manifest\.json|pwa_icon)(?:/|$)"
    r"|gradio_api/(?:info|openapi\.json|upload|upload_progress|call|run|api|queue|cancel|reset|heartbeat|startup-events"
    r"|theme\.css|app_id|user|login_check|mcp)(?:/|$)|gradio_api/file=(?!\w{2,}:))"
)
"""Paths that are served: those of plain HTTP, and of Gradio those that the page and its clients use; files by their path alone,
which Gradio checks, so that no address is fetched."""
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    # a Space is shown in a frame of the Hub's
    "Content-Security-Policy": "frame-ancestors 'self' https://huggingface.co https://*.hf.space; object-src 'none'",
}


class Guard:
    """Middleware."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._space = os.environ.get("SPACE_HOST", "")
        self._hosts = {"localhost", *os.environ.get(HOSTS_VARIABLE, "").split(","), *self._space.split(",")} - {""}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        headers = Headers(scope=scope)
        if not self._knows(headers.get("host", "")):
            answer = f"Unknown host {headers.get('host', '')!r:.80}; name it in the variable {HOSTS_VARIABLE} of the server."
            await JSONResponse({"error": answer}, 400)(scope, receive, send_with_headers)
        elif not OPEN.match(scope["path"]):
            await JSONResponse({"error": "Not found."}, 404)(scope, receive, send_with_headers)
        else:
            await self._app({**scope, "headers": self._believed(headers)}, receive, send_with_headers)

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
