"""Requests that the inference server refuses: foreign hosts and origins, missing tokens, bad files and parameters."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.serving.servers import Server, running
from tests.tiny import TrainedRun

TOKEN = "an-example-of-a-token-0123456789"
PATHS = ("/models", "/models/default", "/predict", "/explain", "/nearest", "/predict-stored", "/explain-stored")


def png(width: int, height: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((height, width, 3), np.uint8)).save(buffer, format="PNG")
    return buffer.getvalue()


def trouble(answer: httpx.Response, status: int) -> str:
    """Check that an answer is a refusal in words; return them."""
    assert answer.status_code == status, answer.text
    document = answer.json()
    assert isinstance(document["error"], str)
    assert document["error"]
    assert isinstance(document["hint"], str)
    assert "Traceback" not in answer.text
    return str(document["error"])


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("empty.jpg", b""),
        ("garbage.jpg", b"\x00\x01garbage" * 100),
        ("page.png", b"<html><script>alert(1)</script></html>"),
        ("drawing.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>"),
        ("cut.png", png(64, 64)[:60]),
        ("tiny.png", png(3, 3)),
        ("liar.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\xff\xff\0\0\xff\xff\x08\x02\0\0\0" + b"\0" * 40),
        ("wide.png", png(10_001, 10)),
    ],
)
def test_what_is_no_photo_is_refused_in_words_and_the_others_are_answered(
    web: httpx.Client, photos: list[Path], name: str, content: bytes
) -> None:
    alone = web.post("/predict", files=[("files", (name, content))])
    trouble(alone, 422)
    good = ("files", (photos[0].name, photos[0].read_bytes()))
    together = web.post("/predict", files=[good, ("files", (name, content)), good])
    assert together.status_code == 200
    first, bad, last = together.json()["results"]
    assert first["label"] == last["label"]
    assert bad["file"] == name
    assert bad["error"]
    trouble(web.post("/explain", files={"file": (name, content)}), 422)
    trouble(web.post("/nearest", files={"file": (name, content)}), 422)


def test_odd_photos_are_answered(web: httpx.Client, shared: Path) -> None:
    odd = sorted(path for path in (shared / "data" / "odd").iterdir() if path.is_file())
    answer = web.post("/predict", files=[("files", (path.name, path.read_bytes())) for path in odd])
    assert [result["file"] for result in answer.json()["results"]] == [path.name for path in odd]
    assert not [result for result in answer.json()["results"] if "error" in result]


@pytest.mark.parametrize("name", ["../../etc/passwd", "a\r\nSet-Cookie: x=1", "<b>x</b>.png", "", "\x00", "é" * 3000])
def test_a_file_name_is_only_a_name(web: httpx.Client, photos: list[Path], name: str) -> None:
    answer = web.post("/predict", files=[("files", (name, photos[0].read_bytes()))])
    assert answer.status_code in (200, 400)
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    ("path", "query", "status"),
    [
        ("/predict", "run=nope", 404),
        ("/predict", "run=../../etc", 404),
        ("/predict", "run=%00", 404),
        ("/predict", "run=" + "x" * 500, 400),
        ("/predict", "top=0", 400),
        ("/predict", "top=many", 400),
        ("/explain", "method=none", 400),
        ("/explain", "target=<script>", 400),
        ("/explain", "layer=99", 400),
        ("/explain", "layer=-1", 400),
        ("/nearest", "count=1000000", 400),
    ],
)
def test_wrong_questions_are_refused_in_words(
    web: httpx.Client, photos: list[Path], path: str, query: str, status: int
) -> None:
    field = "files" if path == "/predict" else "file"
    trouble(web.post(f"{path}?{query}", files={field: photos[0].read_bytes()}), status)


def test_other_wrong_requests_are_refused_in_words(web: httpx.Client, photos: list[Path]) -> None:
    content = photos[0].read_bytes()
    trouble(web.post("/predict"), 400)
    trouble(web.post("/predict", content=content, headers={"content-type": "image/png"}), 400)
    trouble(web.post("/predict", content=b"--x", headers={"content-type": "multipart/form-data; boundary=x"}), 400)
    trouble(web.post("/predict", content=b"--x", headers={"content-type": "multipart/form-data"}), 400)
    trouble(web.post("/predict", files={"photo": content}), 400)
    trouble(web.post("/predict", data={"files": "../shared/secret.jpg"}), 400)
    trouble(web.post("/explain", files=[("file", content), ("file", content)]), 400)
    trouble(web.get("/predict"), 405)
    trouble(web.get("/nothing"), 404)
    for sha256 in ("../../../fieldguide.db", "0" * 63, "A" * 64, ""):
        trouble(web.post("/explain-stored", json={"sha256": sha256}), 400)
    trouble(web.post("/explain-stored", json={"sha256": "0" * 64}), 400)
    trouble(web.post("/explain-stored", json={"sha256": "0" * 64, "path": "/etc/passwd"}), 400)
    trouble(web.post("/explain-stored", content=b"{", headers={"content-type": "application/json"}), 400)
    several = web.post("/explain-stored", json={"sha256": "0" * 63, "path": "/etc/passwd", "top": "many"})
    trouble(several, 400)
    assert len(several.json()["problems"]) > 1


def test_too_many_files_too_large_files_and_too_large_requests_are_refused(
    web: httpx.Client, photos: list[Path]
) -> None:
    small = photos[0].read_bytes()
    assert "64" in trouble(web.post("/predict", files=[("files", small)] * 65), 400)
    large = web.post("/predict", files=[("files", b"\xff\xd8\xff" + bytes(50 * 1024**2)), ("files", small)])
    assert "50 MB" in large.json()["results"][0]["error"]
    assert large.json()["results"][1]["label"]
    assert "200 MB" in trouble(web.post("/predict", content=bytes(201 * 1024**2)), 413)


def test_a_body_that_says_nothing_of_its_size_is_counted(web: httpx.Client) -> None:
    def endless() -> Iterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\n'
        for _ in range(201):
            yield bytes(1024**2)

    headers = {"content-type": "multipart/form-data; boundary=x"}
    try:
        answer = web.post("/predict", content=endless(), headers=headers)
    except httpx.TransportError:
        return  # the server hung up while we were sending
    assert "200 MB" in trouble(answer, 413)


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80", "", "[::1", "[x]"]
)
def test_a_foreign_host_is_refused(web: httpx.Client, host: str) -> None:
    assert web.get("/models", headers={"host": host}).status_code in (400, 403)


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://127.0.0.1:1", "http://localhost:1"])
def test_pages_of_other_sites_are_refused(web: httpx.Client, origin: str) -> None:
    trouble(web.post("/predict", headers={"origin": origin}), 403)


def test_the_servers_own_name_and_origin_are_fine(server: Server, web: httpx.Client) -> None:
    port = server.address.rsplit(":", 1)[1]
    assert web.get("/health", headers={"host": f"localhost:{port}"}).status_code == 200
    assert web.get("/health", headers={"origin": server.address}).status_code == 200
    assert web.get("/health").headers["x-content-type-options"] == "nosniff"


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory, served_home: Path) -> Iterator[Server]:
    """A server that asks for a token."""
    token = tmp_path_factory.mktemp("secret") / "token"
    token.write_text(TOKEN + "\n")
    with running(served_home, "--token-file", token, "--device", "cpu") as started:
        yield started


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer wrong", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN}x", "Bearer é"]
)
def test_without_the_token_nothing_is_said(closed: Server, header: str) -> None:
    headers = {"authorization": header.encode()} if header else {}
    with closed.client(headers=headers) as client:
        for path in PATHS:
            for method in ("GET", "POST"):
                assert trouble(client.request(method, path), 401)
        assert client.get("/health").status_code == 200


def test_with_the_token_all_is_answered(closed: Server, photos: list[Path], trained: TrainedRun) -> None:
    with closed.client(headers={"authorization": f"Bearer {TOKEN}"}) as client:
        answer = client.post("/predict", files={"files": photos[0].read_bytes()})
        assert answer.json()["run_id"] == trained.run_id
