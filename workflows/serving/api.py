"""The routes of the inference server: HTTP in, JSON out.

Multipart bodies are read here and not by FastAPI, so that the number of files can be bounded before they are
all received.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from importlib.metadata import version
from typing import Annotated, Any

import torch
from fastapi import APIRouter, FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException

from workflows.errors import (
    DatasetError,
    DeviceError,
    FieldguideError,
    ImageError,
    ModelError,
    RunError,
    StorageError,
    UsageError,
    WeightsError,
)
from workflows.explanation.heatmaps import METHODS
from workflows.explanation.methods import DEFAULT_METHODS
from workflows.serving.answers import (
    ExplainAnswer,
    Health,
    ModelDetail,
    ModelsAnswer,
    NearestAnswer,
    PredictAnswer,
    Trouble,
)
from workflows.serving.batching import Busy
from workflows.serving.describing import describe
from workflows.serving.explaining import Wanted
from workflows.serving.host_check import HostCheck, Refusal
from workflows.serving.intake import OPEN_PATHS, Intake, refuse
from workflows.serving.limits import ServerSettings
from workflows.serving.naming import Resolve
from workflows.serving.service import Photo, Service
from workflows.serving.traffic import Traffic
from workflows.store.store import Store

STATUS: Mapping[type[FieldguideError], int] = {
    Busy: 503,
    RunError: 404,
    ModelError: 404,
    DatasetError: 404,
    UsageError: 400,
    ImageError: 422,
    DeviceError: 503,
    WeightsError: 500,
    StorageError: 507,
}
"""The HTTP status of our errors; the nearest class in an error's ancestry counts."""

SHA256 = Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the image's content.")
RunName = Annotated[
    str | None,
    Query(
        max_length=200,
        description="The model: its name (for its champion), `name:2`, a run's id, the beginning of one, or `latest`. "
        "Default: the server's own.",
    ),
]
Top = Annotated[int, Query(ge=1, le=1000, description="How many of the most likely classes to return.")]
Count = Annotated[int, Query(ge=1, le=100, description="How many images.")]
Methods = Annotated[
    list[str],
    Query(max_length=4, description=f"Heat-map method: {', '.join(METHODS)}. Repeatable."),
]
Targets = Annotated[
    list[str], Query(max_length=8, description="Class whose evidence to show; default the predicted one. Repeatable.")
]
LayerNumber = Annotated[int | None, Query(description="Layer of the heat-map; `GET /models/{run}` lists them.")]
TROUBLES: dict[int | str, dict[str, Any]] = {
    400: {"model": Trouble, "description": "The request is invalid."},
    404: {"model": Trouble, "description": "The model does not exist."},
    413: {"model": Trouble, "description": "Too large."},
    422: {"model": Trouble, "description": "No file of the request can be read as an image."},
    503: {"model": Trouble, "description": "Too busy: try again after the seconds in `Retry-After`."},
}


class StoredImages(BaseModel):
    """Images of the store to predict."""

    model_config = ConfigDict(extra="forbid")

    sha256: list[Annotated[str, SHA256]] = Field(min_length=1, max_length=64)


class StoredImage(BaseModel):
    """One image of the store."""

    model_config = ConfigDict(extra="forbid")

    sha256: str = SHA256


HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
)


def create_app(store: Store, settings: ServerSettings, resolve: Resolve | None = None) -> HostCheck:
    """Return the inference server as an ASGI application, host check included."""

    @asynccontextmanager
    async def serving(app: FastAPI) -> AsyncIterator[None]:
        app.state.service = service = Service(store, settings, resolve)
        try:
            yield
        finally:
            service.close()

    app = FastAPI(
        title="Fieldguide inference server",
        version=version("fieldguide"),
        description="Classifies photos and explains the predictions. Everything stays on this machine.",
        lifespan=serving,
        docs_url=None,
        redoc_url=None,
    )
    app.include_router(public)
    if settings.studio:
        app.include_router(studio)
    for kind, handler in _HANDLERS.items():
        app.add_exception_handler(kind, handler)

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(describe(app.openapi(), bool(settings.token)))

    app.state.traffic = traffic = Traffic(Intake(app, settings), OPEN_PATHS)
    return HostCheck(traffic, settings.hosts, HEADERS, refusal)


def refusal(why: Refusal) -> JSONResponse:
    """Return what is said to a request under a foreign name, or from another site's page."""
    if why == "host":
        return refuse(403, "This server does not answer to that name.", "Use the address that it printed.")
    return refuse(403, "Pages of other sites may not use this server.", "Call it from a program instead.")


public = APIRouter(responses=TROUBLES)
studio = APIRouter(responses=TROUBLES, tags=["studio"])


def _body(name: str, many: bool) -> dict[str, Any]:
    """Describe a multipart body for the OpenAPI document."""
    one = {"type": "string", "contentMediaType": "application/octet-stream", "format": "binary"}
    field = {"type": "array", "items": one} if many else one
    schema = {"type": "object", "properties": {name: field}, "required": [name]}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}


@public.get("/health", response_model=Health, summary="Is the server running?")
async def health(request: Request) -> Health:
    """Also returns the loaded models and counters."""
    service = _service(request)
    batcher, traffic = service.batcher, request.app.state.traffic
    return Health(
        version=version("fieldguide"),
        started_at=traffic.started_at.isoformat(),
        requests=traffic.requests,
        errors=traffic.errors,
        p95_seconds=traffic.p95_seconds,
        loaded=service.predictors.run_ids,
        waiting=batcher.waiting,
        images=batcher.images,
        batches=batcher.batches,
    )


@public.get("/models", response_model=ModelsAnswer, summary="Which models are available?")
async def models(request: Request) -> ModelsAnswer:
    """All classifiers of this machine's store, newest first, and the default one."""
    return await _service(request).models()


@public.get("/models/{run}", response_model=ModelDetail, summary="What can one model do?")
async def model(request: Request, run: str) -> ModelDetail:
    """Its classes, and the layers and methods of heat-maps. `default` is the server's own model."""
    return await _service(request).model(None if run == "default" else run)


@public.post(
    "/predict",
    response_model=PredictAnswer,
    response_model_exclude_none=True,
    openapi_extra=_body("files", many=True),
    summary="What is on these photos?",
)
async def predict(request: Request, response: Response, run: RunName = None, top: Top = 5) -> Any:
    """Send one photo or many as `files`. A file that can't be read has an `error` in its place; if that applies to all
    of them, the status is 422.
    """
    async with _files(request, "files") as files:
        answer = await _service(request).predict(run, files, top)
    return _unless_all_failed(answer)


@public.post(
    "/explain",
    response_model=ExplainAnswer,
    openapi_extra=_body("file", many=False),
    summary="Why this prediction?",
)
async def explain(
    request: Request,
    run: RunName = None,
    method: Methods = [*DEFAULT_METHODS],  # noqa: B006 - FastAPI copies defaults
    target: Targets = [],  # noqa: B006
    layer: LayerNumber = None,
    top: Top = 5,
    overlays: Annotated[bool, Query(description="Also return each map drawn over the photo.")] = True,
) -> ExplainAnswer:
    """Send one photo as `file`. Returns the scores, the exact pixels that the network saw, and heat-maps."""
    async with _files(request, "file") as files:
        return await _service(request).explain(run, files[0], Wanted(method, target, layer, overlays, top))


@public.post(
    "/nearest",
    response_model=NearestAnswer,
    openapi_extra=_body("file", many=False),
    summary="Which training images look like this to the network?",
)
async def nearest(request: Request, run: RunName = None, count: Count = 12) -> NearestAnswer:
    """Send one photo as `file`. The first time for a model this takes a while: repeat the request while `state` is `building`."""
    async with _files(request, "file") as files:
        return await _service(request).nearest(run, files[0], count)


@studio.post("/predict-stored", response_model=PredictAnswer, response_model_exclude_none=True)
async def predict_stored(request: Request, images: StoredImages, run: RunName = None, top: Top = 5) -> Any:
    """Predict images of the store."""
    service = _service(request)
    return _unless_all_failed(await service.predict(run, [service.stored(each) for each in images.sha256], top))


@studio.post("/explain-stored", response_model=ExplainAnswer)
async def explain_stored(
    request: Request,
    image: StoredImage,
    run: RunName = None,
    method: Methods = [*DEFAULT_METHODS],  # noqa: B006
    target: Targets = [],  # noqa: B006
    layer: LayerNumber = None,
    top: Top = 5,
    overlays: bool = False,
) -> ExplainAnswer:
    """Explain the prediction for an image of the store."""
    service = _service(request)
    return await service.explain(run, service.stored(image.sha256), Wanted(method, target, layer, overlays, top))


@studio.post("/nearest-stored", response_model=NearestAnswer)
async def nearest_stored(request: Request, image: StoredImage, run: RunName = None, count: Count = 12) -> NearestAnswer:
    """Find the training images most similar to an image of the store, by the network."""
    service = _service(request)
    return await service.nearest(run, service.stored(image.sha256), count)


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


@asynccontextmanager
async def _files(request: Request, field: str) -> AsyncIterator[list[Photo]]:
    """Receive the files of a multipart body; those in memory or on disk are removed when the context ends.

    Raises:
        UsageError: there are no files.
        HTTPException: too many (400), too large (413), or not a multipart body (400).
    """
    most = _service(request).limits.files if field == "files" else 1
    async with AsyncExitStack() as stack:
        form = await stack.enter_async_context(_form(request, most))
        files = [item for item in form.getlist(field) if isinstance(item, UploadFile)]
        if not files:
            raise UsageError(
                f"The request has no file field {field!r}.",
                f"Send multipart/form-data, for example: curl -F {field}=@photo.jpg ADDRESS{request.url.path}",
            )
        # one byte more than allowed is enough to decide
        bounded = _service(request).limits.file_bytes + 1
        yield [(file.filename or field, partial(file.file.read, bounded)) for file in files]


def _form(request: Request, most: int) -> AbstractAsyncContextManager[FormData]:
    return request.form(max_files=most, max_fields=8, max_part_size=4096)


def _unless_all_failed(answer: PredictAnswer) -> Any:
    first = answer.results[0]
    if all(result.error for result in answer.results):
        document = answer.model_dump(exclude_none=True)
        return JSONResponse({"error": first.error, "hint": first.hint or "", **document}, 422)
    return answer


async def _known(_request: Request, error: Exception) -> Response:
    status = next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 500)
    document = error.document() if isinstance(error, FieldguideError) else {"error": str(error), "hint": ""}
    return JSONResponse(document, status, {"Retry-After": "1"} if status == 503 else None)


async def _http(_request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    known = {
        404: ("This page does not exist.", "`GET /docs` lists all routes."),
        405: ("That method is not allowed.", ""),
    }
    message, hint = known.get(error.status_code, (str(error.detail), ""))
    return refuse(error.status_code, message, hint, error.headers)


async def _invalid(_request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    faults = [(".".join(map(str, fault["loc"][1:])) or "The body", fault["msg"]) for fault in error.errors()]
    place, words = faults[0]
    known = UsageError(f"{place}: {words}.", "`GET /docs` lists the parameters of each request.")
    known.problems = [f"{name}: {fault}" for name, fault in faults]
    return JSONResponse(known.document(), 400)


async def _out_of_memory(_request: Request, _error: Exception) -> Response:
    return refuse(
        503,
        "The device is out of memory.",
        "Try again when the training on it has finished, or start the server with --device cpu.",
        {"Retry-After": "30"},
    )


async def _bug(_request: Request, _error: Exception) -> Response:
    return refuse(500, "The inference server failed.", "See its log. This is a bug: please report it.")


_HANDLERS: dict[Any, Any] = {
    FieldguideError: _known,
    HTTPException: _http,
    RequestValidationError: _invalid,
    torch.OutOfMemoryError: _out_of_memory,
    Exception: _bug,
}
