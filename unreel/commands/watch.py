"""`unreel watch`: a live stream into a file."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unreel.commands.interrupt import Interrupt
from unreel.engine.errors import UserError
from unreel.modalities.media.export import open_exporter
from unreel.modalities.media.spherical import SphericalInfo

if TYPE_CHECKING:
    from unreel.streaming.client import Live
    from unreel.streaming.protocol import ModelInfo


def watch(
    url: Annotated[str, typer.Argument(help="ws://host:port of a server.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The film: .mp4, .gif, .webp or .png.")],
    seconds: Annotated[
        float | None, typer.Option(help="Stop after so many seconds; default: at the end or Ctrl-C.")
    ] = None,
    view: Annotated[
        str | None, typer.Option("--watch", help="Watch token of somebody's session; default: an own one.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="For an own session: which model.")] = None,
    seed: Annotated[int, typer.Option(help="For an own session: its seed.")] = 0,
    actions: Annotated[str | None, typer.Option(help="For an own session: what is done in it, w-40,none-10.")] = None,
    mesh: Annotated[
        str | None, typer.Option(help="For an own session: a mesh to rig or a rig to move (a file), or example.")
    ] = None,
    token: Annotated[
        str | None, typer.Option(help="The server's token; or set UNREEL_TOKEN.", envvar="UNREEL_TOKEN")
    ] = None,
) -> None:
    """Write a live stream into a file as it comes.

    Example:  unreel watch ws://127.0.0.1:8765 -o out.mp4 --seconds 20 --actions "w-40,wd-20,none-10"
    """
    from unreel.streaming.client import connect
    from unreel.streaming.sending import send_mesh

    if seconds is not None and not seconds > 0:
        raise UserError(f"--seconds must be above 0, got {seconds:g}")
    if mesh is not None and view is not None:
        raise UserError("--mesh is for an own session: it does not go with --watch")
    if mesh not in (None, "example"):
        mesh, model = send_mesh(url, Path(mesh), model=model, token=token)
    own = {} if view is not None else {"model": model, "seed": seed, "actions": actions, "mesh": mesh, "record": False}
    deadline = None if seconds is None else time.monotonic() + seconds
    with ExitStack() as stack, Interrupt() as interrupt:
        live = stack.enter_context(connect(url, token=token, watch=view, **own))
        info, sphere = _info(live), None
        if info.modality == "panorama":  # whole pictures, not faces one by one
            stack.close()
            live = stack.enter_context(connect(url, token=token, watch=view, format="h264", **own))
            sphere = SphericalInfo()
        with open_exporter(output, info.fps, spherical=sphere) as writer:
            for chunk in live:
                if not chunk.header.replay and len(chunk.frames):
                    writer.write(chunk.frames)
                if interrupt.asked or (deadline is not None and time.monotonic() >= deadline):
                    break
    print(f"{writer.path}: {writer.frames} frames")


def _info(live: Live) -> ModelInfo:
    assert live.dialogue.configured is not None, "entered"
    return live.dialogue.configured.model
