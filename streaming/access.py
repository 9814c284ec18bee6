"""Who may talk to the server: token, origin and host, decided from a request's headers alone. Pure."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from urllib.parse import parse_qs, urlsplit

from unreel.streaming.config import LOCAL, ServerConfig


def has_token(config: ServerConfig, headers: Mapping[str, str], query: str) -> bool:
    """Whether a request carries the server's token, as ``Authorization: Bearer`` or ``?token=``; constant time."""
    if config.token is None:
        return True
    kind, _, bearer = headers.get("authorization", "").partition(" ")
    given = bearer.strip() if kind.lower() == "bearer" else ""
    given = given or parse_qs(query).get("token", [""])[0]
    return hmac.compare_digest(given.encode("utf-8", "replace"), config.token.encode())


def origin_fault(config: ServerConfig, headers: Mapping[str, str]) -> str | None:
    """Why a browser's request is refused, or None. Programs send no Origin and pass.

    An origin passes when it is the server's own or on the allow-list. A server without token that listens on this
    machine alone also wants a local Host: a foreign page cannot reach it through a name that resolves to 127.0.0.1.
    """
    host = headers.get("host", "")
    if config.host in LOCAL and config.token is None and _name(f"//{host}") not in (*LOCAL, "testserver", ""):
        return f"host {host[:80]} is not this machine"
    origin = headers.get("origin")
    if origin is None or origin in config.origins:
        return None
    if origin.partition("://")[2] == host and host:
        return None
    return f"origin {origin[:80]} is not allowed: start the server with --origin {origin[:80]}"


def _name(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return "?"
