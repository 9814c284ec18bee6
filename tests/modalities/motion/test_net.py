"""The network: what a session computes step by step is what training computes at once."""

from __future__ import annotations

import pytest
import torch

from tests.motion import NET, tiny_motion
from unreel.engine.context.view import SequenceView
from unreel.engine.errors import UserError
from unreel.modalities.motion.net import MotionNet


@pytest.mark.parametrize("steps", [6])
def test_step_by_step_is_the_whole_sequence(steps: int):
    """Drawn with no temperature, every token is the likeliest under the scores of the whole sequence at once."""
    model = tiny_motion(context={"class": "full"}, sampler={"class": "categorical", "temperature": 0})
    session = model.session(seed=4)
    session.send("text", "walk")
    events = list(session.stream(chunks=steps))
    past = [session.state.past[event.chunk.index] for event in events]
    tokens = torch.stack([one.clean.argmax(-1)[0] for one in past])
    net = model.backbone
    assert isinstance(net, MotionNet)
    before = torch.cat([torch.zeros_like(tokens[:1]), tokens[:-1]])
    told = {name: torch.stack([one.conditions[name] for one in past]) for name in past[0].conditions}
    view = SequenceView(1, steps, net.coords((1,)), net.rope, 1)
    scores = net.scores(tokens, before, torch.arange(steps) > 0, told, view)
    assert torch.equal(scores.argmax(-1), tokens)


def test_later_levels_hear_what_was_drawn():
    net = MotionNet(**NET)
    told = {"text": torch.zeros(1, 32), "body": torch.zeros(1, 22), "path": torch.zeros(1, 7)}
    known = torch.tensor([False])
    found = []
    for first in (0, 1):
        tokens = torch.tensor([[first, 0, 0]])
        view = SequenceView(1, 1, net.coords((1,)), net.rope, 1)
        found.append(net.scores(tokens, torch.zeros_like(tokens), known, told, view)[0])
    assert torch.equal(found[0][0], found[1][0])
    assert not torch.allclose(found[0][1], found[1][1])


def test_sizes_are_checked():
    with pytest.raises(UserError, match="even multiple"):
        MotionNet(**{**NET, "heads": 3})
    with pytest.raises(UserError, match="not so: codes"):
        MotionNet(codes=0)
