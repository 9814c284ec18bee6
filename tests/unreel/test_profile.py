"""`unreel profile` from the outside."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fake import write_folder

from unreel.cli import main


def test_the_profile_is_stored_beside_the_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_folder(tmp_path / "fake")
    with pytest.raises(SystemExit) as end:
        main(["profile", str(folder), "--samples", "1", "--chunks", "4"])
    assert end.value.code == 0
    profile = json.loads((folder / "fake.heads.json").read_text())
    assert len(profile["static"]) == 2
    out = capsys.readouterr().out
    assert "of the heads are static" in out
    assert "layer  1:" in out
