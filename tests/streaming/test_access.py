"""streaming/access.py: who may talk to the server."""

from __future__ import annotations

import pytest

from unreel.streaming.access import has_token, origin_fault
from unreel.streaming.config import ServerConfig

OPEN = ServerConfig()
LOCKED = ServerConfig(token="open-sesame", origins=("https://friend.example",))


@pytest.mark.parametrize(
    ("headers", "query", "right"),
    [
        ({}, "", False),
        ({}, "token=open-sesame", True),
        ({}, "a=b&token=open-sesame", True),
        ({}, "token=open-sesam", False),
        ({}, "token=", False),
        ({}, "token=open-sesame%00", False),
        ({"authorization": "Bearer open-sesame"}, "", True),
        ({"authorization": "bearer open-sesame"}, "", True),
        ({"authorization": "Basic open-sesame"}, "", False),
        ({"authorization": "Bearer öpen"}, "", False),
    ],
)
def test_tokens(headers: dict[str, str], query: str, right: bool) -> None:
    assert has_token(LOCKED, headers, query) is right
    assert has_token(OPEN, headers, query)


@pytest.mark.parametrize(
    ("headers", "passes"),
    [
        ({"host": "127.0.0.1:8765"}, True),
        ({"host": "localhost:8765", "origin": "http://localhost:8765"}, True),
        ({"host": "[::1]:8765", "origin": "http://[::1]:8765"}, True),
        ({"host": "127.0.0.1:8765", "origin": "http://127.0.0.1:9999"}, False),
        ({"host": "127.0.0.1:8765", "origin": "https://elsewhere.example"}, False),
        ({"host": "127.0.0.1:8765", "origin": "null"}, False),
        ({"host": "rebound.example:8765", "origin": "http://rebound.example:8765"}, False),
        ({"host": "rebound.example"}, False),
        ({"host": "[", "origin": "http://["}, False),
    ],
)
def test_a_server_without_a_token_serves_this_machine_alone(headers: dict[str, str], passes: bool) -> None:
    assert (origin_fault(OPEN, headers) is None) is passes


def test_a_listed_origin_passes_and_others_are_named() -> None:
    host = {"host": "world.example"}
    assert origin_fault(LOCKED, host) is None
    assert origin_fault(LOCKED, {**host, "origin": "https://friend.example"}) is None
    assert "https://foe.example" in (origin_fault(LOCKED, {**host, "origin": "https://foe.example"}) or "")
