from __future__ import annotations

import numpy as np
import pytest
import torch

from unreel.engine.errors import UserError
from unreel.engine.model import Model
from unreel.engine.start import choose, chunks_in


def test_latents_can_be_given_instead_of_frames(fake: Model) -> None:
    media = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3), dtype=np.uint8)
    latents = fake.codec.encode(media)
    films = []
    for start in (media, latents):
        session = fake.session(seed=1, start=start)
        assert session.state.next == 3
        films.append(next(iter(session.stream(chunks=1))).payload)
    assert (films[0] == films[1]).all()


def test_latents_of_another_size_are_refused(fake: Model) -> None:
    with pytest.raises(UserError, match=r"latents \(frames, 12, 4, 4\), got \(2, 12, 4, 2\)"):
        fake.session(start=torch.zeros(2, 12, 4, 2))


def test_a_single_picture_is_held_for_a_chunk(fake: Model) -> None:
    picture = np.full((1, 8, 8, 3), 200, dtype=np.uint8)
    assert chunks_in(fake, picture) == 1
    session = fake.session(start=picture)
    clean = session.state.past[0].clean
    assert clean.shape[0] == 2
    assert torch.equal(clean[0], clean[1])


def test_what_a_start_can_be(fake: Model) -> None:
    assert choose(fake, 0, None, None) == (None, None, None)
    assert choose(fake, 0, "nothing", None) == (None, None, None)
    with pytest.raises(UserError, match="no seed clips"):
        choose(fake, 0, 3, None)
    with pytest.raises(UserError, match="'later'"):
        choose(fake, 0, "later", None)
