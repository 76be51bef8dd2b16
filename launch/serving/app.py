"""The web application: one file in, one answer out; or a stream of sound in and an answer every half second.

    GET  /           the page
    GET  /health     {"status": "ok", "accents": [...], "listeners": 0}
    POST /identify   the bytes of a sound file -> what `accent identify --json` prints
    WS   /listen     ?rate=48000&last=30; messages of 16-bit samples -> what `accent stream --json` prints; the message
                     "end" ends it

Other sites' pages are refused, so that they cannot use the server of someone who visits them.  Work runs in threads and
leaves the event loop free; a client that sends faster than its sound is heard has to wait.

Cost: that of the answers.
"""

import asyncio
import ipaddress
import tempfile
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
import numpy as np
from fastapi import FastAPI, HTTPException, Request, WebSocket, WebSocketDisconnect
from fastapi.responses import HTMLResponse
from starlette.datastructures import Headers
from starlette.middleware.trustedhost import TrustedHostMiddleware

from accent.errors import AccentError
from accent.inference.accent_model import AccentModel
from launch.applications.identify import identification_values
from launch.applications.listen import stream_values
from launch.serving.limits import Limits

END = "end"
REFUSED, TOO_LARGE, BUSY = 1008, 1009, 1013
"""Reasons for closing a WebSocket (RFC 6455, section 7.4, and the registry that it began)."""
_POLICY = "default-src 'none'; script-src 'unsafe-inline' blob:; style-src 'unsafe-inline'; connect-src 'self' ws: wss:"


def create_app(model: AccentModel, limits: Limits | None = None, host: str = "127.0.0.1") -> FastAPI:
    """Return the application.

    Args:
        model: calibrated.
        limits: what a client may ask.
        host: where it will listen; on a loopback address, only requests for a loopback name are answered.

    Raises:
        AccentError: the model is not calibrated.
    """
    _ = model.calibration
    limits = limits or Limits()
    app = FastAPI(title="accent", docs_url=None, redoc_url=None, openapi_url=None)
    if is_loopback(host):
        # A page elsewhere may give itself a name that leads here; it cannot give itself this name.
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=["localhost", "127.0.0.1", host])
    page = files("launch.serving").joinpath("page.html").read_text(encoding="utf-8")
    working = asyncio.Semaphore(limits.files_at_once)
    listeners = 0

    @app.get("/", response_class=HTMLResponse)
    async def show_page() -> HTMLResponse:
        return HTMLResponse(page, headers={"Content-Security-Policy": _POLICY, "Cache-Control": "no-cache"})

    @app.get("/health")
    async def health() -> dict[str, Any]:
        return {"status": "ok", "accents": list(model.accents), "listeners": listeners}

    @app.post("/identify")
    async def identify(request: Request) -> dict[str, Any]:
        _refuse_other_sites(request.headers)
        try:
            with anyio.fail_after(limits.upload_seconds):
                content = await _body(request, limits.upload_bytes)
        except TimeoutError:
            raise HTTPException(408, f"the file took longer than {limits.upload_seconds:g} s to come") from None
        async with working:
            try:
                return await anyio.to_thread.run_sync(_identify, model, content)
            except AccentError as error:
                raise HTTPException(422, str(error)) from error

    @app.websocket("/listen")
    async def listen(socket: WebSocket, rate: int = 48_000, last: float | None = None) -> None:
        nonlocal listeners
        await socket.accept()
        if listeners >= limits.listeners:
            await _close(socket, BUSY, f"{listeners} are listening already; try again later")
            return
        listeners += 1
        try:
            _refuse_other_sites(socket.headers)
            stream = model.stream(rate, last_seconds=last)
            await _listen(socket, stream, rate, limits)
        except (AccentError, HTTPException) as error:
            await _close(socket, REFUSED, error.detail if isinstance(error, HTTPException) else str(error))
        except WebSocketDisconnect:
            pass  # The page was closed: nobody is left to be told anything.
        finally:
            listeners -= 1

    return app


def is_loopback(host: str) -> bool:
    """Tell whether only this machine reaches an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


async def _listen(socket: WebSocket, stream: Any, rate: int, limits: Limits) -> None:
    samples = 0
    while True:
        try:
            with anyio.fail_after(limits.idle_seconds):
                message = await socket.receive()
        except TimeoutError:
            raise AccentError(f"no sound came for {limits.idle_seconds:g} s") from None
        if message["type"] == "websocket.disconnect":
            return
        if message.get("text") == END:
            last = await anyio.to_thread.run_sync(stream.finish)
            await socket.send_json({**stream_values(last), "end": True})
            await socket.close()
            return
        content = message.get("bytes")
        if content is None or len(content) % 2:
            raise AccentError(f'send whole samples of 16 bits, or the text "{END}"')
        if len(content) > limits.message_bytes:
            await _close(socket, TOO_LARGE, f"a message of {len(content)} bytes; {limits.message_bytes} are allowed")
            return
        samples += len(content) // 2
        if samples > limits.listen_seconds * rate:
            raise AccentError(f"a stream may last {limits.listen_seconds:g} s; begin another")
        for answer in await anyio.to_thread.run_sync(stream.feed, np.frombuffer(content, "<i2").astype(np.int16)):
            await socket.send_json(stream_values(answer))


async def _close(socket: WebSocket, code: int, reason: str) -> None:
    """Say why, in a message as well: a closing reason may hold 123 bytes."""
    await socket.send_json({"error": reason})
    await socket.close(code, reason.encode()[:120].decode(errors="ignore"))


async def _body(request: Request, most: int) -> bytes:
    content = bytearray()
    async for piece in request.stream():
        content += piece
        if len(content) > most:
            raise HTTPException(413, f"a file of more than {most} bytes")
    return bytes(content)


def _identify(model: AccentModel, content: bytes) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="accent-") as folder:
        path = Path(folder, "upload")
        path.write_bytes(content)
        try:
            return identification_values(model.identify(path))
        except AccentError as error:
            raise AccentError(str(error).removeprefix(f"{path}: ")) from error


def _refuse_other_sites(headers: Headers) -> None:
    """Refuse what a page of another site sends; programs send no origin."""
    origin = headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != headers.get("host"):
        raise HTTPException(403, f"pages of {origin} may not use this server")
