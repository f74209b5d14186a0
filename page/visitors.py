"""Who asks, as far as that can be told: for fair shares, and nowhere remembered."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

ON_SPACE = "SPACE_ID" in os.environ  # behind the Hub's proxy, which adds the address that it sees at the end of a list


_current: ContextVar[str] = ContextVar("visitor", default="")


def current() -> str:
    """The address of who asks for what runs now; "" where nobody from outside does."""
    return _current.get()


@contextmanager
def asking(visitor: str) -> Iterator[None]:
    """What runs in here, and in the threads that it hands work to with its context, is for a visitor."""
    token = _current.set(visitor)
    try:
        yield
    finally:
        _current.reset(token)


def address(headers: Mapping[str, str], host: str) -> str:
    """The address that a request with these headers comes from, which reached this server from `host`.

    What visitors say of themselves is not believed: only on a Space does a proxy that can be trusted stand before the page.
    """
    return headers.get("x-forwarded-for", host).rpartition(",")[2].strip() if ON_SPACE else host
