"""Where browsers send photos to: each file goes to disk as it comes, so that the size of a set needs no memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app.client.uploads import Batch, UploadRefused, Uploads
from workflows.errors import FieldguideError, StorageError
from workflows.store.files import storage_errors

if TYPE_CHECKING:
    from pathlib import Path

PATH = "/fieldguide/upload"
_AT_ONCE = 1024**2


def upload_routes() -> list[Route]:
    """Return the routes that take uploads."""
    return [Route(f"{PATH}/{{ticket}}", _receive, methods=["PUT"])]


async def _receive(request: Request) -> Response:
    """Take one file: `PUT /fieldguide/upload/TICKET?name=roses/1.jpg`."""
    uploads = await run_in_threadpool(_uploads)
    batch = uploads.find(request.path_params["ticket"])
    if batch is None:
        return _no(404, "This page is too old to upload: load it again.")
    name, length = request.query_params.get("name", ""), request.headers.get("content-length", "")
    if not length.isdigit():
        return _no(411, "The browser did not say how large the file is.")
    try:
        coming = await run_in_threadpool(uploads.begin, batch, name, int(length))
    except UploadRefused as error:
        return _no(413, str(error))
    return await _take(request, uploads, batch, name, coming, int(length))


async def _take(request: Request, uploads: Uploads, batch: Batch, name: str, coming: Path, size: int) -> Response:
    whole = False
    try:
        whole = await _write(request, coming, size)
        if whole:
            await run_in_threadpool(uploads.finish, batch, name, coming)
            return JSONResponse({"bytes": size})
        return _no(400, "It did not come whole.")
    except ClientDisconnect:
        return _no(400, "It did not come whole.")
    except FieldguideError as error:
        whole = False
        return _no(507 if isinstance(error, StorageError) else 409, str(error))
    finally:
        if not whole:
            await run_in_threadpool(uploads.give_up, batch, coming, size)


async def _write(request: Request, place: Path, size: int) -> bool:
    """Write the body; return whether it has the length that was announced."""
    written, waiting = 0, bytearray()
    with storage_errors(place), place.open("wb") as file:
        async for chunk in request.stream():
            written += len(chunk)
            if written > size:
                return False
            waiting += chunk
            if len(waiting) >= _AT_ONCE:
                await run_in_threadpool(file.write, bytes(waiting))
                waiting.clear()
        await run_in_threadpool(file.write, bytes(waiting))
    return written == size


def _uploads() -> Uploads:
    from app.client import client

    return client().uploads


def _no(status: int, why: str) -> JSONResponse:
    return JSONResponse({"error": why}, status_code=status)
