"""The training loop: it learns, stops in time, and goes on after a cut as if there had been none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from unreel.engine.errors import UserError
from unreel.engine.learner import Learner, Pace


class Task:
    """A line to be learned, from noise of the learner's own stream."""

    def __init__(self, out: Path, **pace: Any) -> None:
        torch.manual_seed(0)
        self.learner = Learner(
            nn.Linear(4, 1), Pace(**{"minutes": 1.0, "warmup": 1, "rate": 0.02, **pace}), out, seed=3
        )

    def loss(self) -> tuple[Tensor, dict[str, float]]:
        x = torch.randn(64, 4, generator=self.learner.generator)
        wanted = x.sum(1, keepdim=True) + 0.5
        error = (self.learner.work(x.bfloat16()).float() - wanted).square().mean()
        return error, {"error": float(error.detach())}


def test_it_learns_and_the_average_follows(tmp_path: Path) -> None:
    task = Task(tmp_path, samples=2)
    errors = [task.learner.update(task.loss)["error"] for _ in range(300)]
    assert errors[-1] < 0.05 * errors[0]
    assert torch.allclose(task.learner.average.weight, torch.ones(1, 4), atol=0.2)


def test_a_run_ends_with_its_time_and_leaves_a_log(tmp_path: Path) -> None:
    task = Task(tmp_path, minutes=0.01, log_every=1)
    seen: list[int] = []
    task.learner.run(task.loss, lambda: {"kind": "line"}, after=lambda: seen.append(task.learner.step))
    assert task.learner.done >= 1
    assert seen == list(range(1, task.learner.step + 1))
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == seen
    content = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    assert content["kind"] == "line"
    assert content["step"] == seen[-1]


def test_a_cut_changes_nothing(tmp_path: Path) -> None:
    whole = Task(tmp_path / "whole")
    for _ in range(20):
        whole.learner.update(whole.loss)
    first = Task(tmp_path / "cut")
    for _ in range(12):
        first.learner.update(first.loss)
    first.learner.save({})
    second = Task(tmp_path / "cut")
    second.learner.resume()
    assert second.learner.step == 12
    for _ in range(8):
        second.learner.update(second.loss)
    for ours, theirs in zip(second.learner.average.parameters(), whole.learner.average.parameters(), strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("kind", ["checkpoint", "shipped"])
def test_a_warm_start_begins_with_another_run_s_average(tmp_path: Path, kind: str) -> None:
    task = Task(tmp_path / "a")
    task.learner.update(task.loss)
    if kind == "checkpoint":
        task.learner.save({})
        source = task.learner.path
    else:
        source = tmp_path / "line.safetensors"
        save_file({name: t.half() for name, t in task.learner.average.state_dict().items()}, source)
    fresh = Task(tmp_path / "b")
    fresh.learner.resume(str(source))
    assert fresh.learner.step == 0
    assert torch.allclose(fresh.learner.master.weight, task.learner.average.weight, atol=1e-3)
    assert torch.allclose(fresh.learner.work.weight.float(), task.learner.average.weight, atol=1e-2)


def test_the_rate_rises_stays_and_falls(tmp_path: Path) -> None:
    learner = Task(tmp_path, warmup=10, decay_from=0.5).learner
    assert learner.rate() == pytest.approx(0.002)
    learner.step = 20
    assert learner.rate() == pytest.approx(0.02)
    learner.seconds = 60.0
    assert learner.rate() == pytest.approx(0.0004)


def test_bad_paces_are_refused() -> None:
    for wrong in ({"minutes": 0}, {"minutes": 1, "rate": -1.0}, {"minutes": 1, "decay_from": 1.0}):
        with pytest.raises(UserError, match="training takes"):
            Pace(**wrong)


def test_what_a_network_counts_is_kept(tmp_path: Path) -> None:
    """Buffers change in the working copy alone, and are in checkpoint and average as well."""

    class Counting(nn.Linear):
        def __init__(self) -> None:
            super().__init__(4, 1)
            self.register_buffer("seen", torch.zeros(()))

    def learner() -> Learner:
        return Learner(Counting(), Pace(1.0, warmup=1), tmp_path, dtype=torch.float32)

    def loss() -> tuple[Tensor, dict[str, float]]:
        work.seen += 1
        return work(torch.ones(2, 4)).square().mean(), {}

    one = learner()
    work: Any = one.work
    assert work.weight.dtype == torch.float32
    for _ in range(3):
        one.update(loss)
    one.save({})
    again = learner()
    again.resume()
    assert [float(net.seen) for net in (one.average, again.master, again.average, again.work)] == [3.0] * 4  # type: ignore[arg-type]
