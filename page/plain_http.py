"""Plain HTTP beside the page: a picture in, JSON out, in one request, for programs in any language; OpenAPI at /v1/docs."""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from contextvars import copy_context
from typing import Any, TypeVar

from fastapi import HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi_offline import FastAPIOffline
from pydantic import BaseModel, Field
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException as AnyHTTPException
from starlette.formparsers import MultiPartException
from starlette.routing import BaseRoute, Mount, Route

from fashion_classifier import FashionClassifierError, __version__
from fashion_classifier.places import Point
from page.limits import RETRY, BusyError, Lane
from page.service import Service
from page.visitors import address, asking
from page.words import sentence

MAX_BYTES = 50_000_000  # of a picture's file, as on the page
MAX_WAITING, WAITING_EACH = 100, 40  # calls that run or wait, of all and of one visitor
HELD = 2**27  # bytes of pictures that wait, of all visitors
SECONDS = 30  # for a picture to arrive in
PICTURE = {"type": "string", "format": "binary"}
BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "image/*": {"schema": PICTURE},
            "multipart/form-data": {
                "schema": {"type": "object", "required": ["image"], "properties": {"image": PICTURE}},
            },
        },
    }
}

T = TypeVar("T")


class Named(BaseModel):
    """What a garment is."""

    label: str = Field(description="One of the ten names")
    confidence: float = Field(description="Calibrated, in [0.1, 1]")
    uncertain: bool = Field(description="True: probably none of the ten")
    typicality: float = Field(description="How much the picture is like what the network knows, in [0, 1]")
    box: list[float] = Field(description="Around the garment: left, top, width, height in pixels of the upright picture")
    probabilities: dict[str, float] = Field(description="Of all ten names; their sum is 1")
    top: list[tuple[str, float]] = Field(description="The three most probable names")
    message: str = Field(description="The answer in words")
    model_version: str
    model_commit: str | None = Field(description="On the Hub; null: the embedded model")
    fallback: str | None = Field(description="Why the embedded model stands in for the configured one; null: it does not")


class Problem(BaseModel):
    """What went wrong."""

    error: str = Field(description="One sentence: what was wrong, and what is accepted")


PROBLEMS: dict[int | str, dict[str, Any]] = {
    400: {"model": Problem, "description": "Not a picture, or not one that is taken"},
    408: {"model": Problem, "description": f"The picture did not arrive within {SECONDS} seconds"},
    413: {"model": Problem, "description": f"More than {MAX_BYTES:,} bytes"},
    503: {"model": Problem, "description": "Full; Retry-After says when to try again"},
}


def routes(service: Service) -> list[BaseRoute]:
    """What to serve beside the page: /v1/… and /health."""

    async def health(request: Request) -> JSONResponse:
        return JSONResponse({"status": "ok", "model_version": service.classifier.version, "fallback": service.fallback})

    return [Mount("/v1", PlainHTTP(service).app), Route("/health", health)]


class PlainHTTP:
    """The routes under /v1. Each request has a thread in which it waits for its turn, so that nothing else waits for it."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self._lane = Lane("requests", MAX_WAITING, WAITING_EACH)
        self._threads = ThreadPoolExecutor(MAX_WAITING, "plain-http")
        self._held = 0  # bytes
        described: dict[str, Any] = {"title": "Fashion classifier", "version": __version__, "description": __doc__}
        # its page brings its own files, and asks nobody else
        self.app = FastAPIOffline(redoc_url=None, swagger_ui_parameters={"validatorUrl": None}, **described)
        self.app.add_api_route(
            "/predict", self.predict, methods=["POST"], response_model=Named, responses=PROBLEMS, openapi_extra=BODY
        )
        self.app.add_api_route(
            "/garments", self.garments, methods=["POST"], response_model=list[Named], responses=PROBLEMS, openapi_extra=BODY
        )
        self.app.add_api_route("/model", self.model, methods=["GET"])
        for kind, answer in (
            (FashionClassifierError, _refused),
            (BusyError, _busy),
            (AnyHTTPException, _failed),
            (RequestValidationError, _invalid),
        ):
            self.app.add_exception_handler(kind, answer)

    async def predict(self, request: Request, at: str | None = None) -> JSONResponse:
        """Name the garment in a picture. The picture is the body itself, or the file of a form.

        Args:
            at: A point on the garment that is meant, of several: x,y in pixels of the upright picture.
        """
        point = _point(at)
        answer = await self._answered(request, lambda picture: self.service.answer(picture, point))
        return JSONResponse(self.service.to_dict(answer.prediction))

    async def garments(self, request: Request) -> JSONResponse:
        """Name every garment in a picture, the most prominent first; an empty list where there is none of the ten."""
        found = await self._answered(request, self.service.garments)
        return JSONResponse([self.service.to_dict(prediction) for prediction in found])

    async def model(self) -> JSONResponse:
        """Which model answers, and what was measured of it."""
        return JSONResponse(self.service.model())

    async def _answered(self, request: Request, answer: Callable[[bytes], T]) -> T:
        visitor = address(request.headers, request.client.host if request.client else "")
        with self._lane.place(visitor):
            async with self._received(request) as picture:
                with asking(visitor):
                    context = copy_context()
                return await asyncio.get_running_loop().run_in_executor(self._threads, context.run, answer, picture)

    @asynccontextmanager
    async def _received(self, request: Request) -> AsyncIterator[bytes]:
        """The picture of a request, whose bytes are counted for as long as it is needed."""
        counted = 0

        async def receive() -> Any:
            nonlocal counted
            message = await request.receive()
            size = len(message.get("body", b""))
            counted += size
            self._held += size
            if counted > MAX_BYTES:
                raise HTTPException(413, f"The request has more than {MAX_BYTES:,} bytes, too many for a picture.")
            if self._held > HELD:
                raise BusyError(f"Too many pictures are waiting; try again in {RETRY} seconds.")
            return message

        try:
            async with asyncio.timeout(SECONDS):
                picture = await _picture(Request(request.scope, receive))
            yield picture
        except TimeoutError as error:
            raise HTTPException(408, f"The picture did not arrive within {SECONDS} seconds.") from error
        finally:
            self._held -= counted


async def _picture(request: Request) -> bytes:
    """The body, or the first file of a form."""
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        return await request.body()
    try:
        async with request.form(max_files=1, max_fields=10) as form:
            for value in form.values():
                if isinstance(value, UploadFile):
                    return await value.read()
    except MultiPartException as error:
        raise HTTPException(400, f"The form cannot be read: {error.message.rstrip('.')}.") from error
    raise HTTPException(400, "The form holds no file; send the picture as a file, or as the body itself.")


def _point(text: str | None) -> Point | None:
    """A point of a query, "x,y"."""
    if text is None:
        return None
    try:
        column, row = map(float, text.split(","))
    except ValueError as error:
        raise HTTPException(400, f"at takes a point x,y in pixels, received {text!r:.60}.") from error
    return column, row


def _problem(status: int, text: str, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"error": text}, status, headers)


async def _refused(request: Request, error: Exception) -> JSONResponse:
    return _problem(400, sentence(error))


async def _busy(request: Request, error: Exception) -> JSONResponse:
    return _problem(503, sentence(error), {"Retry-After": str(getattr(error, "seconds", RETRY))})


async def _failed(request: Request, error: Exception) -> JSONResponse:
    status = error.status_code if isinstance(error, AnyHTTPException) else 500
    return _problem(status, str(getattr(error, "detail", error)))


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    return _problem(400, "The request's query cannot be read; see /v1/docs.")
