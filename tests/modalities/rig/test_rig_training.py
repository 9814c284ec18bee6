"""Training rig: bodies, examples, lessons, a few steps, resuming, exporting."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import unreel
from tests.rigs import NET, box_part, creature, rigged_creature, stir, tiny_rig
from unreel.engine.errors import UserError
from unreel.engine.rng import normal
from unreel.modalities.rig.joint import SPAN
from unreel.modalities.rig.net import RigNet
from unreel.modalities.rig.rig.bodies import Character, learnable, load_characters, make_character, thinned
from unreel.modalities.rig.rig.examples import Augment, breadth_first, make_example, moved, rotation
from unreel.modalities.rig.rig.export import export
from unreel.modalities.rig.rig.lesson import PARTS, batch_of, draw, losses, tokens_of
from unreel.modalities.rig.rig.train import main
from unreel.modalities.rig.rig.trainer import TrainConfig, Trainer, grouped
from unreel.modalities.skeleton.glb import write_glb
from unreel.modalities.skeleton.mesh import Mesh
from unreel.modalities.skeleton.rig import Rig
from unreel.modalities.skeleton.skeleton import Skeleton
from unreel.modalities.skeleton.skinning import top_to_dense, top_weights


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)  # a trainer sets it


@pytest.fixture(scope="module")
def characters() -> list[Character]:
    return [make_character(rigged_creature(s), f"c{s}", f"group {s}") for s in (1.0, 0.8, 1.3)]


def config(out: Path, **changes: object) -> TrainConfig:
    small = {"batch": 2, "draws": 2, "asked": 16, "points": 64, "net": NET, "warmup": 10, "log_every": 1}
    return TrainConfig(**{"data": "none", "out": str(out), **small, **changes})  # type: ignore[arg-type]


def trainer(out: Path, characters: list[Character], **changes: object) -> Trainer:
    return Trainer(config(out, **changes), (characters[:2], characters[2:]))


# ---- bodies and examples ---------------------------------------------------------------------------------


def test_a_thinned_skin_keeps_its_weights() -> None:
    rig = rigged_creature()
    assert len(thinned(rig, 20).faces) <= len(rig.mesh.faces)
    whole = thinned(rig, 10_000)
    assert whole.positions is rig.mesh.positions


def test_a_root_on_the_floor_is_no_part_of_the_body() -> None:
    mesh = Mesh((box_part((0, 2, 0), (1, 2, 1)),))
    spots = np.asarray([[0, 0, 0], [0, 1.2, 0], [0.3, 1.2, 0], [-0.3, 1.2, 0], [0, 2.8, 0]])
    skeleton = Skeleton.from_positions(["root", "hips", "a", "b", "head"], np.asarray([-1, 0, 0, 0, 1]), spots)
    near = np.linalg.norm(mesh.positions[:, None] - spots[None, 1:], axis=-1)
    weights = np.exp(-near)
    rig = Rig(mesh, skeleton, *top_weights(np.tile(np.arange(1, 5), (len(near), 1)), weights))
    kept = learnable(rig)
    assert set(kept.skeleton.names) == {"hips", "a", "b", "head"}
    assert kept.skeleton.names[0] == "hips"
    assert kept.skeleton.parents.tolist() == [-1, 0, 0, 0]
    held = replace(rig, joints=np.zeros_like(rig.joints), weights=np.eye(4, dtype=np.float32)[[0] * len(near)])
    assert learnable(held).skeleton.names[0] == "root"


def test_an_unchanged_example_is_the_character(characters: list[Character]) -> None:
    one = make_example(characters[0], 256, 16, 64, np.random.default_rng(0), None)
    assert one.surface.shape == (256, 6)
    assert np.abs(one.surface[:, :3]).max() <= 0.5 + 1e-5
    parents = characters[0].skeleton.parents[breadth_first(characters[0].skeleton.parents, None)]
    assert len(one.joints) == len(parents) == 10
    assert (one.parents[1:] < np.arange(1, 10)).all()
    assert (np.diff(one.parents) >= 0).all()
    assert np.allclose(one.weights.sum(1), 1, atol=1e-5)
    low = one.asked[:, 1] < one.asked[:, 1].min() + 0.02  # soles follow a lower leg, which is a leaf
    assert low.any()
    assert set(one.weights[low].argmax(1)) <= {6, 7, 8, 9}


def test_weights_follow_points_through_every_change(characters: list[Character]) -> None:
    """Each asked point lies near the bone of what carries it, whatever was done to the character."""
    for seed in range(8):
        one = make_example(characters[0], 256, 16, 64, np.random.default_rng(seed), Augment(bend=5.0))
        carrier = one.joints[one.weights.argmax(1)]
        assert np.linalg.norm(one.asked[:, :3] - carrier, axis=1).max() < 0.6
        assert np.isfinite(one.joints).all()


def test_siblings_are_shuffled_and_parents_stay_first() -> None:
    parents = np.asarray([-1, 0, 0, 0, 1, 1, 2])
    assert breadth_first(parents, None).tolist() == [0, 1, 2, 3, 4, 5, 6]
    orders = {tuple(breadth_first(parents, np.random.default_rng(seed))) for seed in range(40)}
    assert len(orders) > 6
    for order in orders:
        place = np.argsort(order)
        above = place[np.maximum(parents[list(order)], 0)]
        assert (np.diff(above[1:]) >= 0).all()


def test_points_and_joints_are_moved_alike() -> None:
    points = np.random.default_rng(0).standard_normal((20, 3)).astype(np.float32)
    (a, b), _ = moved((points, points[:5]), Augment(), np.random.default_rng(3))
    assert np.array_equal(a[:5], b)
    assert not np.allclose(a, points)
    assert np.allclose(rotation(1, np.pi / 2) @ [1, 0, 0], [0, 0, -1])


def test_normals_point_outwards_mirrored_or_not() -> None:
    mesh = Mesh((box_part((0, 0, 0), (1, 2, 1)),))
    count = len(mesh.positions)
    skeleton = Skeleton.from_positions(["a", "b"], np.asarray([-1, 0]), np.asarray([[0, 0, 0], [0, 1, 0]]))
    rig = Rig(mesh, skeleton, *top_weights(np.zeros((count, 1), int), np.ones((count, 1))))
    for seed in range(8):
        one = make_example(make_character(rig, "box", "box"), 64, 16, 8, np.random.default_rng(seed), Augment())
        middle = (one.surface[:, :3].min(0) + one.surface[:, :3].max(0)) / 2
        assert ((one.surface[:, :3] - middle) * one.surface[:, 3:]).sum(1).mean() > 0.1


# ---- lessons ---------------------------------------------------------------------------------------------


def test_skeletons_of_any_length_stand_side_by_side(characters: list[Character]) -> None:
    rng = np.random.default_rng(0)
    long = make_example(characters[0], 64, 16, 8, rng, None)
    short = replace(long, joints=long.joints[:4], parents=long.parents[:4], weights=long.weights[:, :4])
    both = batch_of([long, short])
    assert both.real.sum(1).tolist() == [10, 4]
    assert both.weights.shape == (2, 8, 10)
    net = RigNet(**NET)
    stir(net)
    drawn = draw(both, 2, 0.0, torch.Generator().manual_seed(0))
    together = losses(net, both, drawn)
    changed = both.joints.clone()
    changed[1, 4:] = 9.0  # what is padded does not matter
    other = losses(net, replace(both, joints=changed), drawn)
    for name, part in together.items():
        assert torch.isfinite(part)
        assert torch.allclose(part, other[name], atol=1e-5), name


def test_training_sees_what_generation_computes() -> None:
    """A whole skeleton at once and joint by joint through the engine: the same positions, ends and parents."""
    model = tiny_rig()
    net = model.backbone
    assert isinstance(net, RigNet)
    session = model.session(seed=1, steps=1, rewind=0)
    session.send("mesh", creature())
    assert len(list(session.stream())) == 12
    states = torch.stack([session.state.past[index].clean[0] for index in range(12)])
    joints, parents = states[None, :, :3] / SPAN, states[None, :, 4:].argmax(-1)
    noise = torch.stack([normal((1, 16), 1, index, 0)[0, :3] for index in range(12)])[None, :, None]
    with torch.inference_mode():
        shape = net.shape_of(session.state.route["mesh"])
        tokens, table = tokens_of(net, shape, joints, parents)
        flow = net.position(noise, torch.zeros(1, 12, 1), tokens[:, :-1], shape.look)
        links = net.links(tokens[:, :-1], joints, table, parents[:, :-1])
    assert torch.allclose((noise + flow)[0, :, 0], states[:, :3], atol=1e-3)
    assert torch.equal(links.argmax(-1), parents)
    assert (net.end(tokens)[0, 1:12, 0] < 0).all()


def test_the_losses_fall(tmp_path: Path, characters: list[Character]) -> None:
    run = trainer(tmp_path, characters, rate=3e-3)
    records = [run.learner.update(run.loss) for _ in range(60)]
    early, late = ({k: np.mean([r[k] for r in part]) for k in records[0]} for part in (records[:10], records[-10:]))
    for name in ("flow", "link", "end", "skin"):
        assert late[name] < early[name], name
    assert run.check()["flow"] > 0


# ---- runs ------------------------------------------------------------------------------------------------


def test_a_resumed_run_is_the_run_that_was_never_stopped(tmp_path: Path, characters: list[Character]) -> None:
    def steps(run: Trainer, count: int) -> None:
        for _ in range(count):
            run.learner.update(run.loss)

    whole, part = trainer(tmp_path / "a", characters), trainer(tmp_path / "b", characters)
    steps(whole, 4)
    steps(part, 2)
    part.learner.save(part.facts())
    rest = trainer(tmp_path / "b", characters)
    assert rest.learner.step == 2
    steps(rest, 2)
    for a, b in zip(whole.learner.average.parameters(), rest.learner.average.parameters(), strict=True):
        assert torch.equal(a, b)
    with pytest.raises(UserError, match="other sizes"):
        trainer(tmp_path / "b", characters, net={**NET, "width": 48})


def test_characters_count_once_however_many_files_they_have(characters: list[Character]) -> None:
    twice = [*characters, replace(characters[0], name="again")]
    assert sorted(map(len, grouped(twice))) == [1, 1, 2]


def test_what_is_exported_can_be_loaded(tmp_path: Path, characters: list[Character]) -> None:
    run = trainer(tmp_path, characters, minutes=0.01, check_every=1)
    run.run()
    for name in ("log", "held-out"):
        lines = [json.loads(line) for line in (tmp_path / f"{name}.jsonl").read_text().splitlines()]
        assert lines[-1]["step"] == run.learner.step
        assert set(PARTS) <= set(lines[-1])
    export(run.learner.path, tmp_path / "model", commit="abc")
    model = unreel.load(tmp_path / "model", dtype="float32")
    assert model.card.training["commit"] == "abc"
    assert model.card.training["held_out"] == ["c1.3"]
    session = model.session(seed=0)
    session.send("mesh", creature())
    assert session.model.card.schedule.steps == 10
    assert next(session.stream()).payload.index == 0
    card = (tmp_path / "model" / "model.yaml").read_text().replace("A mesh in", "Any mesh in")
    (tmp_path / "model" / "model.yaml").write_text(card)
    export(run.learner.path, tmp_path / "model")
    assert "Any mesh" in (tmp_path / "model" / "model.yaml").read_text()


def test_a_folder_is_split_and_its_faults_are_told(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for number in range(12):
        stretch = 0.5 + 0.12 * number
        write_glb(rigged_creature(stretch), tmp_path / "data" / f"being{chr(97 + number) * 3}.glb")
    train, held_out = load_characters(tmp_path / "data", 96)
    assert not {one.group for one in train} & {one.group for one in held_out}
    assert len(train) + len(held_out) == 12
    dense = top_to_dense(train[0].skins[0].joints, train[0].skins[0].weights, 10)
    assert np.allclose(dense.sum(1), 1)
    with pytest.raises(UserError, match="both are needed"):
        load_characters(tmp_path / "data", 4)
    with pytest.raises(UserError, match="no folder"):
        main(["--data", str(tmp_path / "none"), "--out", str(tmp_path / "out")])
    with pytest.raises(UserError, match="no checkpoint"):
        export(tmp_path / "none.pt", tmp_path / "model")
