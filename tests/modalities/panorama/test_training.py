"""Training panorama: worlds, rows, a few steps, resuming, exporting."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import unreel
from unreel.engine.errors import UserError
from unreel.modalities.panorama.cubemap import FACES, crop_faces, pad_faces, rays
from unreel.modalities.panorama.net import PanoramaNet
from unreel.modalities.panorama.panorama import train
from unreel.modalities.panorama.panorama.export import export
from unreel.modalities.panorama.panorama.forcing import RowMaker, Rows, Scene, Wish, masked, predict, roughened
from unreel.modalities.panorama.panorama.rehearsal import inside, rehearse, seams, sharpness
from unreel.modalities.panorama.panorama.trainer import TrainConfig, Trainer, mixed, noisy_times, seen
from unreel.modalities.panorama.panorama.worlds import World, thing, track

SIZES = {"frames": 2, "size": 16, "pad": 8, "base": 8, "mid": 16, "width": 32, "depth": 1, "heads": 2}


@pytest.fixture
def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(5)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)  # a trainer sets it


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two panoramas: blue above, green below; one of them has a name for its kind of place."""
    for name, light in (("a", 200), ("b", 90)):
        sky = np.full((32, 128, 3), (60, 90, light), np.uint8)
        ground = np.full((32, 128, 3), (40, light, 50), np.uint8)
        Image.fromarray(np.concatenate((sky, ground))).save(tmp_path / f"{name}.png")
    (tmp_path / "places.json").write_text('{"a": "meadow"}')
    return tmp_path


def config(folder: Path, **changes: object) -> TrainConfig:
    return TrainConfig(**{"data": str(folder), "out": str(folder / "run"), "net": SIZES, "samples": 1, **changes})  # type: ignore[arg-type]


# ---- worlds ----------------------------------------------------------------------------------------------


def test_faces_and_views_of_a_world_agree(seeded: torch.Generator):
    world = World.drawn(torch.randint(0, 255, (3, 1, 1)).byte().expand(3, 256, 512), seeded)
    world.things[:] = [thing(seeded) for _ in range(3)]
    faces, moving = world.faces(32, range(3))
    assert faces.shape == (3, 6, 3, 32, 32)
    assert set(moving.unique().tolist()) <= {0.0, 1.0}
    still = faces[0][moving[0].expand(6, 3, 32, 32) == 0].reshape(3, -1) if moving[0].max() == 0 else None
    assert still is None or still.std() < 1
    front = world.look(rays("F", 32).flatten(0, 1), 1).unflatten(1, (32, 32))
    assert torch.allclose(front, faces[1, 0], atol=1e-4)


def test_things_move_along_great_circles(seeded: torch.Generator):
    for _ in range(10):
        one = thing(seeded)
        places = torch.stack([one.place(frame) for frame in range(5)])
        assert torch.allclose(places.norm(dim=-1), torch.ones(5), atol=1e-5)
        steps = (places[1:] * places[:-1]).sum(-1).clamp(-1, 1).acos()
        assert torch.allclose(steps, torch.full((4,), abs(one.speed)), atol=2e-3)


def test_tracks_are_cameras(seeded: torch.Generator):
    for _ in range(50):
        cameras, height, width = track(6, seeded)
        assert cameras.shape == (6, 4)
        assert 96 <= width <= 224
        assert 50 <= cameras[0, 3] <= 110
        assert cameras[:, 1].abs().max() <= 90
        assert height >= 32


# ---- rows ------------------------------------------------------------------------------------------------


def scene(net: PanoramaNet, generator: torch.Generator, windows: int) -> Scene:
    n, size = net.config.frames, net.config.size
    faces = torch.rand(1 + windows * n, 6, 3, size, size, generator=generator) * 2 - 1
    cameras = torch.tensor([[0.0, 0.0, 0.0, 60.0]]).repeat((windows + 1) * n, 1)
    views = seen(torch.rand(len(cameras), 3, 12, 16, generator=generator), cameras, size)
    return Scene(faces, torch.zeros_like(faces[:, :, :1]), views, 0)


def rows(net: PanoramaNet, generator: torch.Generator, windows: int = 2) -> tuple[Scene, Wish, Rows]:
    whole = scene(net, generator, windows)
    n, order = net.config.frames, (0, 1, 3, 4, 2, 5)
    before = whole.window(0, n) if windows == 2 else None
    last = None if before is None else masked(before[-1:], 0.5)
    wish = Wish(
        windows - 1, order, (0, 2), torch.tensor([0.0, 0.5]), before, last, whole.window(windows - 1, n), ahead=True
    )
    return whole, wish, RowMaker(net).make(whole, wish)


def test_rows_see_what_the_plan_lets_them_see(seeded: torch.Generator):
    net = PanoramaNet(**SIZES)
    _, _, made = rows(net, seeded)
    kinds = ["given F", "ahead F", *(f"past {f}" for f in FACES), "made F", "made R", "noisy F", "noisy L"]
    assert len(made.clean) == len(kinds)
    assert made.condition["face"].tolist() == [6, 6, 0, 1, 2, 3, 4, 5, 0, 1, 0, 3]
    assert made.times.tolist() == [1.0] * 10 + [0.0, 0.5]
    sees = {kind: [kinds[j] for j in row.nonzero().flatten()] for kind, row in zip(kinds, made.visible, strict=True)}
    past = [f"past {f}" for f in FACES]
    assert sees["noisy F"] == ["given F", "ahead F", *past]
    assert sees["noisy L"] == ["ahead F", *past, "made F", "made R"]  # F is made: its given view is gone
    assert sees["made R"] == ["made F"]
    assert sees["given F"] == sees["made F"] == []
    assert sees["past L"] == ["past F", "past R"]
    assert made.coords[1, 0, 0] == 2
    assert made.coords[2, 0, 0] == -2
    assert made.coords[-1, 0, 0] == 0


def test_around_is_the_neighbours_where_made_and_the_past_elsewhere(seeded: torch.Generator):
    net = PanoramaNet(**SIZES)
    whole, wish, made = rows(net, seeded)
    around = made.condition["around"][-1]  # of L, after F and R: F is at its right, B at its left
    assert around[:, 3, 16, 0].tolist() == [0.5, 0.5]
    assert around[:, 3, 16, -1].tolist() == [1.0, 1.0]
    assert around[:, 3, 16, 16].tolist() == [0.5, 0.5]
    truth = pad_faces(whole.window(1, 2), 8)[:, 3]
    assert torch.equal(around[:, :3, 8:24, 24:], truth[..., 8:24, 24:])
    assert torch.equal(around[0, :3, 8:24, 8:24], whole.window(0, 2)[-1, 3])
    assert torch.equal(made.target[-1], truth)
    _, _, first = rows(net, seeded, windows=1)
    assert first.condition["around"][-2].abs().max() == 0  # the first face of the first window knows nothing


def test_training_rows_are_what_the_engine_would_tell(seeded: torch.Generator):
    """The same world through the plan: the same visibility, coordinates and `around`."""
    from unreel.engine.state import Past
    from unreel.engine.types import Chunk
    from unreel.modalities.panorama.surround import around

    net = PanoramaNet(**SIZES)
    whole, wish, made = rows(net, seeded)
    from torch.nn.functional import pixel_unshuffle

    def chunk(index: int, start: int, region: str) -> Chunk:
        return Chunk(index, start, 2, (2, 48, 8, 8), region)

    canvases = [pad_faces(whole.window(number, 2), 8) for number in (0, 1)]
    past = {}
    for index, face in enumerate(FACES):
        past[index] = Past(chunk(index, 0, face), pixel_unshuffle(canvases[0][:, index], 4), {})
    for index, face in enumerate("FR", 6):
        past[index] = Past(chunk(index, 2, face), pixel_unshuffle(canvases[1][:, FACES.index(face)], 4), {})
    told = around(chunk(8, 2, "L"), past, 16, 8, 4)
    assert torch.allclose(told, made.condition["around"][-1], atol=1e-6)


def test_predictions_are_padded_canvases(seeded: torch.Generator):
    net = PanoramaNet(**SIZES)
    _, wish, made = rows(net, seeded)
    states = mixed(made.clean[-2:], wish.times, seeded)
    out = predict(net, made, states)
    assert out.shape == made.target.shape == (2, 2, 3, 32, 32)
    out.square().mean().backward()
    dead = [name for name, p in net.named_parameters() if p.grad is None]
    assert dead == []


def test_roughened_faces_stay_colours(seeded: torch.Generator):
    faces = torch.rand(2, 6, 3, 16, 16, generator=seeded) * 2 - 1
    changes = [(roughened(faces, seeded) - faces).abs().mean() for _ in range(40)]
    assert 0 < sum(c > 0 for c in changes) < 40
    assert max(changes) < 0.3
    times = noisy_times(1000, 0.2, seeded)
    assert 0.1 < (times == 0).float().mean() < 0.3
    assert times.max() < 1


# ---- the trainer -----------------------------------------------------------------------------------------


def test_a_few_steps_resume_and_export(folder: Path):
    first = Trainer(config(folder))
    assert first.places == ["meadow"]
    records = [first.learner.update(first.loss) for _ in range(3)]
    assert all(np.isfinite(r["loss"]) for r in records)
    first.learner.seconds = 1.0
    first.learner.save(first.facts())
    again = Trainer(config(folder))
    assert again.learner.step == 3
    assert torch.equal(torch.rand(3, generator=again.generator), torch.rand(3, generator=first.generator))
    for ours, theirs in zip(first.net.parameters(), again.net.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    export(first.learner.path, folder / "model", commit="abc")
    model = unreel.load(str(folder / "model"))
    assert model.card.training["held_out"] == []
    session = model.session(seed=1)
    events = [e for e in session.stream(frames=2) if e.replaces is None]
    assert [e.payload.face for e in events] == list(FACES)


def test_surroundings_of_the_nets_own_making(folder: Path):
    trainer = Trainer(config(folder, rollout_from=-1.0, rollout_share=1.0, first_share=0.5))
    for _ in range(4):
        assert np.isfinite(trainer.learner.update(trainer.loss)["loss"])


def test_the_command_trains_logs_and_exports(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    monkeypatch.setattr(train, "run", lambda c: Trainer(config(folder, out=c.out, minutes=1e-4)).run())
    train.main(["--data", str(folder), "--out", str(folder / "out")])
    assert "exported to" in capsys.readouterr().out
    assert (folder / "out" / "model" / "panorama.safetensors").is_file()
    card = (folder / "out" / "model" / "model.yaml").read_text()
    assert "unreel train panorama" in card


def test_the_command_tells_a_mistake_before_it_begins(folder: Path, tmp_path: Path):
    Image.new("RGB", (100, 80)).save(folder / "photo.png")
    with pytest.raises(UserError, match="photo"):
        train.main(["--data", str(folder)])


def test_the_log_is_json(folder: Path):
    trainer = Trainer(config(folder, minutes=0.02))
    trainer.learner.step = 9
    trainer.run()
    lines = (folder / "run" / "log.jsonl").read_text().splitlines()
    assert json.loads(lines[0])["step"] == 10


# ---- rehearsals ------------------------------------------------------------------------------------------


def test_a_rehearsed_world_keeps_the_view(seeded: torch.Generator):
    net = PanoramaNet(**SIZES, places=2).eval()
    cameras = torch.tensor([[0.0, 0.0, 0.0, 80.0]]).repeat(4, 1)
    views = seen(torch.full((4, 3, 12, 16), 0.4), cameras, 16)
    faces = rehearse(net, views, 2, 2, (0.0, 0.5), seeded)
    assert faces.shape == (4, 6, 3, 16, 16)
    assert inside(faces, torch.full_like(faces, 0.4), views[:, :, 3:]) > 30
    blind = rehearse(net, torch.zeros(0, 6, 4, 16, 16), 1, 0, (0.0,), seeded)
    assert blind.shape == (2, 6, 3, 16, 16)


def test_measures(seeded: torch.Generator):
    noise = torch.rand(1, 6, 3, 16, 16, generator=seeded)
    assert 0.8 < seams(noise) < 1.2
    assert sharpness(noise, torch.zeros(1, 6, 1, 16, 16)) > sharpness(noise / 2, torch.zeros(1, 6, 1, 16, 16))
    assert crop_faces(pad_faces(noise, 2), 2).equal(noise)
