"""Part of `unreel bench panorama`: one window at the published geometry, faces of 960 pixels, in a process of its own.

The network is the shipped one with other sizes and random weights. Run as a module it reads what to do as JSON from
its standard input and answers in JSON.
"""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from unreel.benchmarks import _clock
from unreel.benchmarks import _panorama as p
from unreel.benchmarks._films import peak_bytes, process_bytes, reset_peak
from unreel.engine.card import Card
from unreel.engine.errors import UserError
from unreel.engine.model import Model, build
from unreel.modalities.panorama.film import open_film

SIZE, PAD = 960, 24  # 63 tokens a side: odd, so that they stand on whole coordinates
SMALL = (240, 16)
LIMIT = 4 * 2**30


def geometry(model: Model, quick: bool = False) -> dict[str, Any]:
    """Memory and seconds of a window around a photograph, from the view to the film; in a process of its own."""
    size, pad = SMALL if quick else (SIZE, PAD)
    wish = {"card": model.card.model_dump(mode="json"), "size": size, "pad": pad, "dtype": _name(model)}
    for _ in p.progress(range(1), f"faces of {size} pixels"):
        done = subprocess.run(
            [sys.executable, "-m", __name__], input=json.dumps(wish), capture_output=True, text=True, check=False
        )
    if done.returncode:
        raise UserError(
            f"a window of {size} pixels a face failed: {(done.stderr.strip() or 'killed').splitlines()[-1]}"
        )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def window(card: Card, size: int, pad: int, dtype: str) -> dict[str, Any]:
    """One window of a card's network with other sizes; memory is counted from when model and view are there."""
    model = build(enlarged(card, size, pad), Path(), None, "cpu", dtype, seed=1)
    view = p.view(p.drawn(1, 2 * size), p.cameras([(0.0, 0.0, 0.0, 90.0)]), (size * 9 // 8, size * 3 // 2))
    gc.collect()
    reset_peak()
    before, faces = process_bytes(), []
    frames = model.frames_per_chunk
    with TemporaryDirectory() as folder, _clock.measuring():
        began = last = time.perf_counter()
        session = model.session(seed=1)
        session.send("view", view)
        with open_film(Path(folder) / "film.mp4", model.fps, frames=frames) as film:
            for event in session.stream(frames=frames):
                if event.replaces is None:
                    now = time.perf_counter()
                    faces.append({"face": event.chunk.region, "seconds": now - last, "at": now - began})
                    last = now
                film.add(event)
        total = time.perf_counter() - began
    backbone: Any = model.backbone
    return {
        "size": size,
        "pad": pad,
        "picture": [4 * size, 2 * size],
        "frames": frames,
        "steps": session.state.steps,
        "tokens_per_face": int(model.coords(session.plan.shape, "F").shape[0]),  # type: ignore[attr-defined]
        "weights_bytes": sum(t.numel() * t.element_size() for t in backbone.parameters()),
        "before_bytes": before,
        "peak_bytes": peak_bytes() - before,
        "context_bytes": session.stats.peak_context_bytes,
        "faces": faces,
        "total_s": total,
    }


def enlarged(card: Card, size: int, pad: int) -> Card:
    """The card with faces of another size."""
    sizes = {"size": size, "pad": pad}
    media = card.media.model_copy(update={"height": 2 * size, "width": 4 * size})
    parts = {name: {**getattr(card, name), **sizes} for name in ("architecture", "codec", "plan")}
    return card.model_copy(update={**parts, "media": media, "weights": None, "seeds": None})


def _name(model: Model) -> str:
    return str(model.dtype).removeprefix("torch.")


if __name__ == "__main__":
    asked = json.loads(sys.stdin.read())
    print(json.dumps(window(Card.model_validate(asked["card"]), asked["size"], asked["pad"], asked["dtype"])))
