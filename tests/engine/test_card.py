"""Model cards: what is read, and the one line for each way to get it wrong."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from fake import card

from unreel.engine.card import read_card
from unreel.engine.errors import UserError


def write(folder: Path, text: str) -> Path:
    path = folder / "model.yaml"
    path.write_text(text)
    return path


def test_a_card_is_read(tmp_path: Path) -> None:
    read = read_card(write(tmp_path, yaml.safe_dump(card())))
    assert read.media.fps == 10
    assert read.schedule.steps == 4


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("name: [", "not valid YAML"),
        ("just words", "mapping"),
        ("!!python/object/apply:os.system ['true']", "not valid YAML"),
    ],
)
def test_what_is_not_a_mapping_is_refused(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(UserError, match=told):
        read_card(write(tmp_path, text))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"media": {"fps": 0, "height": 8, "width": 8}}, "media.fps"),
        ({"schedule": {"steps": 0}}, "schedule.steps"),
        ({"sauce": 1}, "sauce"),
        ({"licence": None}, "licence"),
    ],
)
def test_wrong_fields_are_named(tmp_path: Path, change: dict[str, Any], told: str) -> None:
    with pytest.raises(UserError, match=told):
        read_card(write(tmp_path, yaml.safe_dump(card(**change))))


def test_a_missing_card_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot read"):
        read_card(tmp_path / "model.yaml")
