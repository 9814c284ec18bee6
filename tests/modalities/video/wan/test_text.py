from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("diffusers", reason="needs the extra [wan]: diffusers")
pytest.importorskip("transformers", reason="needs the extra [wan]: transformers")

from tiny_wan import original_t5_names, text_encoder

from unreel.engine.errors import UserError
from unreel.engine.types import Chunk
from unreel.modalities.video.wan.text import PromptCondition, load_encoder

CHUNK = Chunk(0, 0, 3, (3, 16, 4, 6))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("text")
    torch.save(original_t5_names(text_encoder(path)), path / "models_t5_umt5-xxl-enc-bf16.pth")
    return path


def condition(folder: Path, **options: Any) -> PromptCondition:
    paths = {"path": str(folder / "text_encoder"), "tokenizer": str(folder / "tokenizer")}
    return PromptCondition(width=24, tokens=12, **{**paths, **options})


def test_features_are_those_of_the_encoder_padded_with_zeros(folder: Path) -> None:
    tokenizer, encoder = load_encoder(folder / "text_encoder", folder / "tokenizer")
    told = tokenizer("a red fox", return_tensors="pt")
    expected = encoder(told["input_ids"]).last_hidden_state[0]
    got = condition(folder).encode("  a red&nbsp;  fox ", CHUNK, 0)
    assert got.shape == (12, 24)
    assert torch.allclose(got[: len(expected)], expected, atol=1e-5)
    assert (got[len(expected) :] == 0).all()
    assert (got[0] - condition(folder).encode("blue fox", CHUNK, 0)[0]).abs().max() > 1e-3


def test_the_original_file_gives_the_same_features(folder: Path) -> None:
    original = condition(folder, path=str(folder / "models_t5_umt5-xxl-enc-bf16.pth"))
    a, b = (c.encode("a red fox runs", CHUNK, 0) for c in (condition(folder), original))
    assert torch.allclose(a, b, atol=1e-6)


def test_one_prompt_is_one_tensor_while_it_is_held(folder: Path) -> None:
    made = condition(folder)
    first = made.encode("a fox", CHUNK, 0)
    assert made.encode("a fox", CHUNK, 0) is first
    assert made.null(CHUNK) is made.null(CHUNK)
    del first
    gc.collect()
    assert "a fox" not in made._held
    for word in ("a", "red", "blue", "fox", "runs", "sleeps"):
        made.features(word)
    assert len(made._recent) == 4


def test_null_is_the_negative_prompt(folder: Path) -> None:
    made = condition(folder, negative="a blue fox")
    assert torch.equal(made.null(CHUNK), made.encode("a blue fox", CHUNK, 0))
    assert torch.equal(made.encode(None, CHUNK, 0), made.features(""))


def test_features_can_be_given_instead_of_words() -> None:
    made = PromptCondition(width=4, tokens=6)
    checked = made.check(torch.ones(2, 4))
    assert made.encode(checked, CHUNK, 0) is checked
    assert checked.shape == (6, 4)
    assert float(checked.sum()) == 8
    assert (made.null(CHUNK) == 0).all()
    for wrong in (torch.ones(7, 4), torch.ones(2, 5), torch.ones(4)):
        with pytest.raises(UserError, match="features"):
            made.check(wrong)
    with pytest.raises(UserError, match="no text encoder"):
        made.check("a fox")


def test_files_that_do_not_fit_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="24 wide, the model takes 32"):
        PromptCondition(32, 12, str(folder / "text_encoder"), str(folder / "tokenizer")).check("a")
    with pytest.raises(UserError, match="no tokenizer"):
        condition(folder, tokenizer=None).check("a")
    torch.save({"x": torch.zeros(1)}, tmp_path / "t5.pth")
    with pytest.raises(UserError, match="no UMT5"):
        load_encoder(tmp_path / "t5.pth", folder / "tokenizer")
    with pytest.raises(UserError, match="cannot read"):
        load_encoder(tmp_path, folder / "tokenizer")
