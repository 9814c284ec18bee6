from __future__ import annotations

import pytest

pytest.importorskip("diffusers", reason="needs the extra [wan]: diffusers")

from unreel.benchmarks import wan


def test_every_variant_is_run_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    size = wan.Size("tiny", 32, 48, rounds=2, depth=1, blocks=2, span=2, steps=4, levels=(0, 1, 3))
    monkeypatch.setattr(wan, "P240", size)
    results = wan.run(quick=True)
    passes = {row["name"]: row["chunk_passes"] for row in results["rows"]}
    assert passes["diffusers pipeline"] == 2 * (4 + 1)
    assert passes["causal cache"] == 2 * 4 + 1  # the last chunk of a film is not committed
    assert passes["causal cache + reuse"] == 2 * 3 + 1
    assert all(row["seconds"] > 0 and row["ratio"]["min"] > 0 for row in results["rows"])
    text = wan.table(results)
    assert text.count("\n| ") == 6
    assert "13 frames, 24 tokens" in text
