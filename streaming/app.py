"""Routes: the websocket, the page, what models there are, recordings, jobs, health and figures."""

from __future__ import annotations

import hmac
import os
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

from fastapi import FastAPI, HTTPException, Request, Response, WebSocket
from fastapi.responses import FileResponse, JSONResponse, RedirectResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles
from starlette.background import BackgroundTask

from unreel.streaming import meshes, uploads, videos
from unreel.streaming.access import has_token, origin_fault
from unreel.streaming.protocol import VERSION
from unreel.streaming.shell import serve_socket, watch_film
from unreel.streaming.site import Site

OPEN = (
    "/",
    "/healthz",
    "/favicon.ico",
)  # and the page's own files: they hold no secrets, and the page asks for the token
UPLOADS = ("/v1/views", "/v1/meshes")
KINDS = {".mp4": "video/mp4", ".glb": "model/gltf-binary"}  # of recordings
# blob: in connect-src: textures inside a GLB are read by the page through an address it made itself
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data: blob:; connect-src 'self' blob: ws: wss:",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def create_app(site: Site) -> FastAPI:
    """The ASGI application; its lifespan starts the site's threads (whoever runs it drains the site)."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await site.start()
        yield

    app = FastAPI(title="unreel", docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)
    app.state.site = site

    @app.websocket("/v1/stream")
    async def stream(socket: WebSocket) -> None:
        await serve_socket(socket, site)

    app.include_router(videos.router(site.jobs, lambda id: film(site, id, id)))
    app.include_router(uploads.router(site.hub.views, site.models, site.config.view_bytes))
    app.include_router(meshes.router(site.hub.views, site.models, site.config.view_bytes))
    _guard(app, site)
    _machines(app, site)
    _films(app, site)
    _pages(app)
    return app


def _guard(app: FastAPI, site: Site) -> None:
    """Who may come in, and how a refusal looks."""

    @app.middleware("http")
    async def guard(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        if why := origin_fault(site.config, request.headers):
            return _refuse(403, why)
        public = request.url.path in OPEN or request.url.path.startswith("/web/")
        if not public and not has_token(site.config, request.headers, request.url.query):
            return _refuse(401, "wrong or missing token")
        most = site.config.view_bytes if request.url.path in UPLOADS else 1_000_000
        if int(request.headers.get("content-length") or 0) > most:
            return _refuse(413, f"a request to {request.url.path[:64]} has at most {most / 1e6:g} MB")
        response = await call_next(request)
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        return response

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> Response:
        answer = _refuse(error.status_code, str(error.detail))
        answer.headers.update(error.headers or {})
        return answer


def _machines(app: FastAPI, site: Site) -> None:
    """Models, health and figures."""

    @app.get("/healthz")
    async def healthz() -> dict[str, Any]:
        alive = all(worker.alive for worker in site.workers.values())
        if not alive or site.hub.draining:
            raise HTTPException(503, "draining" if site.hub.draining else "an engine has stopped")
        return {"status": "ok", "protocol": VERSION}

    @app.get("/metrics")
    async def metrics() -> Response:
        site.gauges()
        return Response(site.metrics.text(), media_type="text/plain; version=0.0.4")

    @app.get("/v1/models")
    async def models() -> dict[str, Any]:
        data = [{"id": n, "object": "model", "owned_by": "unreel", **i.model_dump()} for n, i in site.hub.infos.items()]
        return {"object": "list", "data": data}


def _films(app: FastAPI, site: Site) -> None:
    """Recordings and live films."""

    @app.get("/v1/sessions/{id}/recording{suffix}")
    def recording(id: str, suffix: str, key: str = "") -> Response:  # in a thread: it may copy a long film
        right = site.hub.recording_key(id)
        if suffix not in KINDS or right is None or not hmac.compare_digest(right.encode(), key.encode()):
            raise HTTPException(404, "no recording with this session and key")
        return film(site, id, f"unreel-{id[:6]}")

    @app.get("/v1/watch/{token}.mp4")
    async def player(token: str) -> Response:
        if token not in site.hub.watches:
            raise HTTPException(404, "no session with this watch token")
        return StreamingResponse(watch_film(site, token), media_type="video/mp4")


def film(site: Site, id: str, name: str) -> Response:
    """A recording: the finished file, or a copy of what a running session has so far. ``name`` is without a suffix."""
    made = site.recordings.films.get(id)
    if made is None:
        raise HTTPException(404, "nothing has been recorded yet")
    suffix = made.path.suffix
    if site.recordings.ready(id):
        return FileResponse(made.path, media_type=KINDS[suffix], filename=name + suffix)
    handle, copy = tempfile.mkstemp(suffix=suffix)
    os.close(handle)
    if not site.recordings.copy_part(id, Path(copy)):
        os.unlink(copy)
        raise HTTPException(404, "nothing has been recorded yet")
    done = BackgroundTask(os.unlink, copy)
    return FileResponse(copy, media_type=KINDS[suffix], filename=name + suffix, background=done)


def _pages(app: FastAPI) -> None:
    web = Path(str(files("unreel.streaming"))) / "web"

    @app.get("/")
    async def page() -> Response:
        return FileResponse(web / "index.html", media_type="text/html")

    @app.get("/favicon.ico")
    async def icon() -> Response:
        return RedirectResponse("/web/icon.svg")

    app.mount("/web", StaticFiles(directory=web), name="web")


def _refuse(status: int, message: str) -> JSONResponse:
    return JSONResponse({"error": {"message": message, "type": "invalid_request_error", "code": status}}, status)
