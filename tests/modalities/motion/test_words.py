"""Hashed words: the same everywhere, near for words that share pieces."""

from __future__ import annotations

import pytest
import torch

from unreel.engine.errors import UserError
from unreel.modalities.motion.words import WordsCondition, hashed


def test_the_same_text_is_the_same_vector_in_every_process():
    vector = hashed("Walk forward!", 64)
    assert torch.equal(vector, hashed("walk  FORWARD", 64))
    assert vector.norm() == pytest.approx(1)
    assert int(vector.abs().argmax()) == int(hashed("walk forward", 64).abs().argmax())


def test_words_that_share_pieces_are_near():
    walk, walking, jump = (hashed(word, 256) for word in ("walk", "walking", "jump"))
    assert walk @ walking > 0.3
    assert abs(walk @ jump) < 0.2
    assert torch.equal(hashed("a person walks to the", 256), hashed("walks", 256))


def test_what_is_no_word_is_refused():
    condition = WordsCondition(32, ["walk"])
    assert len(condition.check("run fast")) == 32
    assert len(condition.check([0.0] * 32)) == 32
    for wrong in ("", "?!", "the"):
        with pytest.raises(UserError, match="as in 'walk'"):
            condition.check(wrong)
