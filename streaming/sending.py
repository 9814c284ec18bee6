"""A mesh or a rig on its way to a server, from a program: ``POST /v1/meshes`` with the standard library alone."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit, urlunsplit
from urllib.request import ProxyHandler, Request, build_opener

from unreel.engine.errors import UserError

WAIT_S = 120.0  # reading a large mesh takes the server some seconds


def send_mesh(url: str, path: Path, *, model: str | None = None, token: str | None = None) -> tuple[str, str]:
    """Send a file to the server at ``url`` (``ws://host:port``, as ``connect`` takes it).

    Returns the upload's name, which is the ``mesh`` of ``connect``, and the model it is for: by default the first of
    the server's that takes meshes.

    Raises:
        UserError: a file that cannot be read, a server that cannot be reached, or that has no use for the file.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from None
    parts = urlsplit(url)
    address = urlunsplit(
        ({"ws": "http", "wss": "https"}.get(parts.scheme, parts.scheme), parts.netloc, "/v1/meshes", "", "")
    )
    boundary = secrets.token_hex(16)
    head = "" if model is None else f'--{boundary}\r\nContent-Disposition: form-data; name="model"\r\n\r\n{model}\r\n'
    # What the file is called says what it is; its own name is nobody's business.
    head += f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="mesh{path.suffix.lower()}"\r\n\r\n'
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    request = Request(address, head.encode() + data + f"\r\n--{boundary}--\r\n".encode(), headers)
    try:
        with build_opener(ProxyHandler({})).open(request, timeout=WAIT_S) as answer:
            told = json.load(answer)
    except HTTPError as error:
        raise UserError(f"{path}: {_reason(error)}") from None
    except (URLError, OSError, ValueError) as error:
        raise UserError(f"cannot send {path} to {parts.netloc}: {error}; is `unreel serve` running there?") from None
    return str(told["id"]), str(told["model"])


def _reason(error: HTTPError) -> str:
    try:
        return str(json.load(error)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return f"the server said {error.code} {error.reason}"
