"""The shared parts of the benchmarks: ratios, tables, choosing thresholds, and Wan's geometry in the small."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
import torch
from fake import write_folder

from unreel.benchmarks import _calibrate, _clock, _tables, _wan, geometry
from unreel.benchmarks._fidelity import attention_errors
from unreel.benchmarks._films import pooled_db, rmse, spread
from unreel.engine.card import read_card
from unreel.engine.errors import UserError
from unreel.engine.model import Model


def test_ratios_are_pair_by_pair() -> None:
    assert spread([2.0, 4.0, 9.0], [1.0, 4.0, 3.0]) == {"median": 2.0, "min": 1.0, "max": 3.0}
    assert _tables.ratio({"median": 2.0, "min": 1.0, "max": 3.0}) == "2.00x (1.00-3.00)"


def test_pooled_decibels_are_those_of_the_mean_error() -> None:
    assert pooled_db(np.array([20.0, 20.0])) == pytest.approx(20.0)
    assert pooled_db(np.array([20.0, 60.0])) == pytest.approx(23.01, abs=0.01)


def test_rmse_is_per_frame() -> None:
    a = np.zeros((2, 2, 2, 3), np.uint8)
    b = a.copy()
    b[1] = 10
    assert rmse(a, b).tolist() == [0.0, 10.0]


def test_a_table_lands_between_its_markers_and_nowhere_else(tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    page.write_text("before\n<!-- bench:x -->\nold\n<!-- /bench:x -->\nafter\n")
    _tables.insert(page, "x", _tables.markdown(("a", "b"), [["1", "2"]]))
    assert page.read_text() == (
        "before\n<!-- bench:x -->\n| a | b |\n| --- | ---: |\n| 1 | 2 |\n<!-- /bench:x -->\nafter\n"
    )
    with pytest.raises(UserError, match="bench:y"):
        _tables.insert(page, "y", "")
    with pytest.raises(UserError, match="cannot read"):
        _tables.insert(tmp_path / "none.md", "x", "")


def row(speed: float, psnr: float, drift: float) -> dict:
    return {"speed": speed, "psnr_db": psnr, "drift": drift, "drift_late": drift}


def test_the_closest_of_those_fast_enough_is_chosen() -> None:
    found = [row(2, 40, 0.0), row(3, 35, 0.01), row(4, 34, 0.0), row(5, 36, 0.2), row(6, 25, 0.0)]
    chosen = _calibrate.choose(found, 2.5, 33, 0.05)
    assert chosen is not None
    assert chosen["speed"] == 3
    assert _calibrate.choose(found, 2.5, 50, 0.05) is None


def test_presets_are_written_into_the_card_and_nothing_else_changes(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "fake")
    before = read_card(folder / "model.yaml")
    presets = {"fast": {"steps": 8, "reuse": {"class": "flowcache", "threshold": 0.3}}}
    _calibrate.write_presets(str(folder), presets)
    assert read_card(folder / "model.yaml") == before.model_copy(update={"presets": presets})


def test_wan_geometry_runs_in_the_small_and_banks_are_smaller_than_the_window() -> None:
    tiny = _wan.Geometry("tiny", 32, 48, depth=1, steps=2, commit="extra")
    assert tiny.tokens_per_frame == 6
    assert _wan.P480.tokens_per_frame == 1560
    assert _wan.P1080.tokens_per_frame == 8160
    found = geometry.wan(tiny, geometry.contexts(tiny), rounds=1)
    sizes = {r["name"]: r["bytes_of_window"] for r in found["rows"]}
    assert sizes["window 3+6"] == 1.0
    assert sizes["hybrid"] < 0.6
    assert sizes["hybrid int8"] < sizes["hybrid"]
    assert "s per chunk" in geometry.table({"setting": _tables.setting(), "geometries": [found]})


def test_the_clock_is_put_back() -> None:
    wall = time.perf_counter
    with _clock.measuring():
        assert (time.perf_counter is time.process_time) == (torch.get_num_threads() == 1)
    assert time.perf_counter is wall


def test_attention_errors_are_none_for_full_and_grow_as_less_is_kept(fake: Model) -> None:
    settings = {
        "full": {"class": "full"},
        "int8": {"class": "full", "storage": "int8"},
        "half": {"class": "importance-redundancy", "sink": 0, "recent": 2, "bank": 4, "horizon": None},
        "one": {"class": "window", "sink": 0, "recent": 1, "horizon": None},
    }
    errors = attention_errors(fake, settings, seeds=1, chunks=6)
    assert errors["full"] == 0.0
    assert 0 < errors["int8"] < errors["half"] < errors["one"]
    assert errors["int8"] < 0.02
