"""The endpoint for photos from the browser: each file is streamed to disk, so that large data sets need no memory."""

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
_BUFFER_BYTES = 1024**2


def upload_routes() -> list[Route]:
    """Return the routes for uploads."""
    return [Route(f"{PATH}/{{ticket}}", _receive, methods=["PUT"])]


async def _receive(request: Request) -> Response:
    """Receive one file: `PUT /fieldguide/upload/TICKET?name=roses/1.jpg`."""
    uploads = await run_in_threadpool(_uploads)
    batch = uploads.find(request.path_params["ticket"])
    if batch is None:
        return _error(404, "This page is too old to upload: load it again.")
    name, length = request.query_params.get("name", ""), request.headers.get("content-length", "")
    if not length.isdigit():
        return _error(411, "The browser did not say how large the file is.")
    try:
        partial = await run_in_threadpool(uploads.begin, batch, name, int(length))
    except UploadRefused as error:
        return _error(413, str(error))
    return await _store(request, uploads, batch, name, partial, int(length))


async def _store(request: Request, uploads: Uploads, batch: Batch, name: str, partial: Path, size: int) -> Response:
    complete = False
    try:
        complete = await _write(request, partial, size)
        if complete:
            await run_in_threadpool(uploads.finish, batch, name, partial)
            return JSONResponse({"bytes": size})
        return _error(400, "The upload is incomplete.")
    except ClientDisconnect:
        return _error(400, "The upload is incomplete.")
    except FieldguideError as error:
        complete = False
        return _error(507 if isinstance(error, StorageError) else 409, str(error))
    finally:
        if not complete:
            await run_in_threadpool(uploads.give_up, batch, partial, size)


async def _write(request: Request, place: Path, size: int) -> bool:
    """Write the body; return whether it has the length that was announced."""
    written, waiting = 0, bytearray()
    with storage_errors(place), place.open("wb") as file:
        async for chunk in request.stream():
            written += len(chunk)
            if written > size:
                return False
            waiting += chunk
            if len(waiting) >= _BUFFER_BYTES:
                await run_in_threadpool(file.write, bytes(waiting))
                waiting.clear()
        await run_in_threadpool(file.write, bytes(waiting))
    return written == size


def _uploads() -> Uploads:
    from app.client import client

    return client().uploads


def _error(status: int, message: str) -> JSONResponse:
    return JSONResponse({"error": message}, status_code=status)
