"""Rigs of bodies made in code, and what it takes to send them to a server."""

from __future__ import annotations

from typing import Any

import httpx
import numpy as np

from tests.streaming.live import LiveServer
from unreel.modalities.motion.body import BODY
from unreel.modalities.motion.figure import figure
from unreel.modalities.skeleton.document import load_document
from unreel.modalities.skeleton.gltf import read_rig
from unreel.modalities.skeleton.motion import Motion
from unreel.modalities.skeleton.rig import Rig
from unreel.modalities.skeleton.skeleton import Skeleton


def sideways(scale: float = 2.0) -> Rig:
    """Somebody ``scale`` times as large as the body, who faces +X at rest; joints are called as Mixamo does."""
    x, y, z = (scale * BODY.positions[:, axis] for axis in range(3))
    names = {"hips": "Hips", "left_thigh": "LeftUpLeg", "right_thigh": "RightUpLeg"}
    called = [names.get(name, name) for name in BODY.names]
    return figure(Skeleton.from_positions(called, BODY.parents, np.stack([z, y, -x], -1)))


def posed(glb: bytes, rows: np.ndarray) -> Motion:
    """What rows say, on the skeleton that is read from the GLB: joints of a row are in the order of the file's skin."""
    document, skeleton = load_document(glb), read_rig(glb).skeleton
    names = [document.entries("nodes")[node]["name"] for node in document.entries("skins")[0]["joints"]]
    order = [names.index(name) for name in skeleton.names]
    return Motion(skeleton, 30.0, rows[:, :3], rows[:, 3:].reshape(len(rows), -1, 4)[:, order])


def send(server: LiveServer, data: bytes | None, name: str = "a.glb", **fields: str) -> httpx.Response:
    files: dict[str, Any] = {"nothing": b""} if data is None else {"file": (name, data)}
    return httpx.post(f"{server.http}/v1/meshes", files=files, data=fields, timeout=20)


def sent(server: LiveServer, data: bytes, name: str = "a.glb", **fields: str) -> str:
    """The id of an upload that is fine."""
    answer = send(server, data, name, **fields)
    assert answer.status_code == 201, answer.text
    id: str = answer.json()["id"]
    return id


def recording(server: LiveServer, configured: Any) -> httpx.Response:
    """What is downloaded from the session's path."""
    return httpx.get(f"{server.http}{configured.recording}", params={"key": configured.key}, timeout=20)
