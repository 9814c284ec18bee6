"""`unreel serve`: a model as a live stream, with a page to steer it in."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from unreel import catalogue
from unreel.engine.batch import Limits


def serve(
    model: Annotated[
        list[str] | None, typer.Option("--model", "-m", help="A name or a folder; repeat for more.")
    ] = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on; others than this machine need a token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8765,
    token: Annotated[
        str | None, typer.Option(help="Secret clients must show; or set UNREEL_TOKEN.", envvar="UNREEL_TOKEN")
    ] = None,
    insecure: Annotated[bool, typer.Option(help="Serve anybody on any host without a token.")] = False,
    origin: Annotated[list[str] | None, typer.Option(help="A foreign page that may connect, https://...")] = None,
    sessions: Annotated[int, typer.Option(help="Sessions that run at once.")] = 8,
    queue: Annotated[int, typer.Option(help="Sessions that may wait for a place.")] = 32,
    batch: Annotated[int, typer.Option(help="Sessions in one backbone call.")] = 8,
    idle: Annotated[float, typer.Option(help="Seconds without a sign of life after which a session ends.")] = 600.0,
    lifetime: Annotated[float | None, typer.Option(help="Seconds after which any session ends.")] = None,
    lead: Annotated[float, typer.Option(help="Seconds that chunks may be made ahead of being watched.")] = 0.0,
    recordings: Annotated[
        Path | None, typer.Option(help="Keep recordings here; default: until the server ends.")
    ] = None,
    record: Annotated[bool, typer.Option(help="Offer an MP4 of every session.")] = True,
) -> None:
    """Serve live sessions on a websocket and a page to play them in. Ctrl-C or SIGTERM says goodbye first.

    Example:  unreel serve --model dream --port 8765
    """
    from unreel.streaming.config import ServerConfig
    from unreel.streaming.server import serve as run

    limits = Limits(sessions=sessions, queue=queue, batch=batch, idle_s=idle, lifetime_s=lifetime)
    config = ServerConfig(
        host=host, port=port, token=token, insecure=insecure, origins=tuple(origin or ()), limits=limits, lead_s=lead,
        recordings=recordings, record=record,
    )  # fmt: skip
    loaded = [catalogue.load(name) for name in model or ["dream"]]
    models = {one.name: one for one in loaded}
    place = f"[{host}]" if ":" in host else host
    print(f"unreel: {', '.join(models)} at http://{place}:{port}/  (process {os.getpid()})", flush=True)
    run(config, models)
