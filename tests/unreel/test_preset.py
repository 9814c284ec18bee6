"""`unreel generate --preset`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fake import write_folder

from unreel.cli import main

PRESETS = {
    "exact": {"steps": 8, "offset": 2, "reuse": {"class": "none"}},
    "fast": {"steps": 8, "offset": 2, "reuse": {"class": "timestep", "levels": [2, 4], "replay_as": "clean"}},
}


def run(folder: Path, *more: str) -> int:
    with pytest.raises(SystemExit) as end:
        main(
            [
                "generate",
                str(folder),
                "-o",
                str(folder / "f.png"),
                "--frames",
                "8",
                "--json",
                str(folder / "n.json"),
                *more,
            ]
        )
    return int(end.value.code or 0)


def test_a_preset_reuses_and_the_report_says_so(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "fake", presets=PRESETS, media={"fps": 10, "height": 16, "width": 16})
    assert run(folder, "--preset", "fast", "--compare", "8") == 0
    numbers = json.loads((folder / "n.json").read_text())
    assert numbers["steps_reused"] > 0
    assert numbers["request"]["preset"] == "fast"
    assert numbers["quality"]["against_plain"]["identical"] is False
    assert run(folder, "--preset", "exact", "--compare", "8") == 0
    numbers = json.loads((folder / "n.json").read_text())
    assert numbers["steps_reused"] == 0
    assert numbers["quality"]["against_plain"]["identical"] is True


def test_an_unknown_preset_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_folder(tmp_path / "fake", presets=PRESETS)
    assert run(folder, "--preset", "slow") == 2
    assert "exact, fast" in capsys.readouterr().err
