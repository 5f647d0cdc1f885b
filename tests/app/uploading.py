"""Files as a browser uploads them."""

from __future__ import annotations

import io
import os
import zipfile

import app.client as clients
from app.client.uploads import KEPT_SECONDS, Batch, Uploads


def arrived(*files: tuple[str, bytes]) -> Batch:
    """Upload files as a browser does."""
    uploads = clients.client().uploads
    batch = uploads.open()
    for name, content in files:
        upload(uploads, batch, name, content)
    return batch


def zipped(**files: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def upload(uploads: Uploads, batch: Batch, name: str, content: bytes) -> None:
    """Put a file into a batch, as a browser's request does."""
    coming = uploads.begin(batch, name, len(content))
    coming.write_bytes(content)
    uploads.finish(batch, name, coming)


def long_ago(batch: Batch) -> None:
    """Make a batch one that nobody has asked for since long."""
    batch.used -= 2 * KEPT_SECONDS
    os.utime(batch.folder, (batch.used, batch.used))
