"""`unreel profile`: find the heads that only look at the newest frames, for the contexts `heads` and `hybrid`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from unreel import catalogue
from unreel.engine.context.profile import STATIC, profile_path
from unreel.engine.profiling import profile_heads, write_profile


def profile(
    model: Annotated[str, typer.Argument(help="A model's name, or the path of its folder.")],
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Default: beside the model's weights.")] = None,
    samples: Annotated[int, typer.Option(help="Seeds to look at.")] = 6,
    chunks: Annotated[int, typer.Option(help="Chunks to look at in each, after as many to fill the context.")] = 6,
    recent: Annotated[int | None, typer.Option(help="Latent frames that count as near; default: one chunk.")] = None,
    border: Annotated[float, typer.Option(help="Share of attention on them that makes a head static.")] = STATIC,
) -> None:
    """Classify attention heads as static or dynamic and store the profile beside the model.

    Example:  unreel profile dream
    """
    loaded = catalogue.load(model)
    _, weights = catalogue.locate(model)
    found = profile_heads(loaded, samples, chunks, recent, border)
    path = profile_path(loaded.name, weights) if output is None else output
    write_profile(path, found)
    for layer, (scores, still) in enumerate(zip(found["scores"], found["static"], strict=True)):
        marks = " ".join(f"{score:.2f}{'*' if head in still else ' '}" for head, score in enumerate(scores))
        print(f"layer {layer:>2}: {marks}")
    steady = found["stability"]
    print(
        f"{path}: {found['static_share']:.0%} of the heads are static (*); classes agree with those of one sample in "
        f"{steady['samples']['mean']:.0%} (worst {steady['samples']['worst']:.0%}), of one level in "
        f"{steady['levels']['mean']:.0%} (worst {steady['levels']['worst']:.0%})"
    )
