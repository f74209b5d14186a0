"""Who asks, as far as that can be told: for fair shares, and nowhere remembered."""

import os
from collections.abc import Mapping

import gradio as gr

ON_SPACE = "SPACE_ID" in os.environ  # behind the Hub's proxy, which adds the address that it sees at the end of a list


def visitor(request: gr.Request | None) -> str:
    """The address that a call through Gradio comes from; "" where there is no request."""
    return "" if request is None else address(request.headers, request.client.host if request.client else "")


def address(headers: Mapping[str, str], host: str) -> str:
    """The address that a request with these headers comes from, which reached this server from `host`.

    What visitors say of themselves is not believed: only on a Space does a proxy that can be trusted stand before the page.
    """
    return headers.get("x-forwarded-for", host).rpartition(",")[2].strip() if ON_SPACE else host
