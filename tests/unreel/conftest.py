"""A model folder as a user would have it, and the command line called in this process."""

from collections.abc import Callable
from pathlib import Path

import pytest
from fake import write_folder

from unreel.cli import main

Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The fake model with frames of 16x16 pixels, as a folder."""
    return write_folder(tmp_path / "fake", media={"fps": 10, "height": 16, "width": 16})


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Cli:
    """Runs ``unreel ARGUMENTS`` and returns exit code, stdout and stderr."""

    def run(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stopped:
            main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        assert isinstance(stopped.value.code, int)
        return stopped.value.code, out, err

    return run
