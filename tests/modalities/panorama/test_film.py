"""Events of faces to films: whole windows in order, true colours in true places, every kind of end."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from tests.panorama import SIZES, tiny_panorama
from unreel.engine.errors import UserError
from unreel.engine.types import Chunk, Event
from unreel.modalities.media.spherical import SphericalInfo, read_spherical
from unreel.modalities.panorama.film import PanoramaFilm, Windows, collector, lay_out, open_film
from unreel.modalities.panorama.patch import FacePatch

FACES = "FRBLUD"
COLOURS = np.array(
    [(250, 10, 10), (10, 250, 10), (10, 10, 250), (250, 250, 10), (250, 10, 250), (10, 250, 250)], np.uint8
)
SIZE, T = 32, 4


def faces(window: int) -> dict[str, np.ndarray]:
    """Six plain faces (T, S, S, 3), a little darker with every frame."""
    shade = 6 * np.arange(window * T, window * T + T)[:, None, None, None]
    return {
        face: np.maximum(np.broadcast_to(colour, (T, SIZE, SIZE, 3)).astype(int) - shade, 0).astype(np.uint8)
        for face, colour in zip(FACES, COLOURS, strict=True)
    }


def event(seq: int, window: int, patch: FacePatch, final: bool, replaces: int | None = None) -> Event:
    chunk = Chunk(seq, window * T, T, (T, 3, SIZE, SIZE), patch.face)
    return Event(seq, chunk, 0, final, patch, replaces=replaces)


def session(windows: int, order: str = "LFRBUD", strips: bool = True) -> Iterator[Event]:
    """As a session emits: a face, then a strip of each face beside it; a face is final with its last neighbour."""
    seq = 0
    for window in range(windows):
        frames, seen = faces(window), {}
        for face in order:
            last = face == order[-1]
            seen[face] = seq
            yield event(seq, window, FacePatch(face, frames[face]), final=last or not strips)
            seq += 1
        for face in order[:-1] if strips else "":
            strip = np.full((T, 2, SIZE, 3), 77, np.uint8)
            yield event(seq, window, FacePatch(face, strip, top=SIZE - 2), final=True, replaces=seen[face])
            seq += 1


def read(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def write(film: PanoramaFilm, events: Iterator[Event]) -> list[np.ndarray]:
    with film:
        return [frames for item in events if (frames := film.add(item)) is not None]


@pytest.mark.parametrize("ending", ["mp4", "webm"])
def test_a_film_of_three_windows(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"pano.{ending}"
    film = open_film(path, 8)
    parts = write(film, session(3, strips=False))
    assert [len(part) for part in parts] == [T] * 3
    assert (film.frames, film.size, film.fps, film.scale, film.path) == (12, (64, 128), 8, 1, path)
    assert film.seconds > 0
    assert list(tmp_path.iterdir()) == [path]
    got = read(path)
    assert got.shape == (12, 64, 128, 3)
    for t in range(12):
        # centre forward, a quarter to the right R, the edges B, to the left L, above U, below D
        for (y, x), face in {(32, 64): 0, (32, 96): 1, (32, 2): 2, (32, 32): 3, (4, 64): 4, (60, 64): 5}.items():
            want = np.maximum(COLOURS[face].astype(int) - 6 * t, 0)
            assert np.abs(got[t, y, x].astype(int) - want).max() <= 12, (t, FACES[face])
    assert read_spherical(path) == SphericalInfo()


def test_exact_pixels_without_a_codec(tmp_path: Path) -> None:
    """Strips supersede; PNG of the whole sphere equals what `add` returned and what a collector gives."""
    film = open_film(tmp_path / "pano.png", 8, layout="equirect")
    parts = np.concatenate(write(film, session(2)))
    stored = np.stack([np.asarray(Image.open(path)) for path in sorted(tmp_path.glob("pano-*.png"))])
    np.testing.assert_array_equal(stored, parts)
    collect = collector()
    np.testing.assert_array_equal(np.concatenate([f for e in session(2) if (f := collect(e)) is not None]), parts)
    assert (parts[:, 47, 64] == 77).all()  # the strip at the bottom of F: 45 degrees down
    assert (parts[0, 32, 64] == COLOURS[0]).all()


def test_faces_as_png(tmp_path: Path) -> None:
    film = open_film(tmp_path / "pano.png", 8)
    write(film, session(2, strips=False))
    assert (film.frames, film.size) == (8, (SIZE, SIZE))
    assert len(list(tmp_path.iterdir())) == 48
    for face, colour in zip(FACES, COLOURS, strict=True):
        assert (np.asarray(Image.open(tmp_path / f"pano-{face}-00000.png")) == colour).all()
        np.testing.assert_array_equal(
            np.asarray(Image.open(tmp_path / f"pano-{face}-00006.png")), faces(1)[face][2]
        )  # fmt: skip


def test_a_cubemap_stands_as_google_wants_it(tmp_path: Path) -> None:
    """right left up / down front back; the top row of U shows what lies forward, that of D what lies back."""
    window = np.stack([faces(0)[face] for face in FACES])
    window[4, :, -1] = 200  # the bottom of U touches F
    window[5, :, -1] = 100  # the bottom of D touches B
    picture = lay_out(window, "cubemap")
    assert picture.shape == (T, 2 * SIZE, 3 * SIZE, 3)
    for (row, column), face in {(0, 0): 1, (0, 1): 3, (0, 2): 4, (1, 0): 5, (1, 1): 0, (1, 2): 2}.items():
        assert (picture[0, row * SIZE + 9, column * SIZE + 9] == COLOURS[face]).all()
    assert (picture[:, 0, 2 * SIZE :] == 200).all()
    assert (picture[:, SIZE, :SIZE] == 100).all()
    film = open_film(tmp_path / "cube.mp4", 8, layout="cubemap")
    write(film, session(1))
    assert read_spherical(film.path) == SphericalInfo("cubemap", versions=(2,))


def test_ffmpeg_sees_the_same_sphere_in_both(tmp_path: Path) -> None:
    """FFmpeg's v360 turns our cubemap (U and D turned back) into the panorama that we write ourselves."""
    rng = np.random.default_rng(1)
    coarse = rng.integers(0, 256, (6, 1, 4, 4, 3), dtype=np.uint8)
    window = coarse.repeat(16, axis=2).repeat(16, axis=3)
    ours = lay_out(window)[0].astype(float)
    graph = av.filter.Graph()
    cube = av.VideoFrame.from_ndarray(lay_out(window, "cubemap")[0], format="rgb24")
    source = graph.add_buffer(width=cube.width, height=cube.height, format="rgb24", time_base="1/8")
    turned = graph.add("v360", "input=c3x2:output=e:w=256:h=128:in_frot=002200:interp=linear")
    sink = graph.add("buffersink")
    source.link_to(turned)
    turned.link_to(sink)
    graph.configure()
    graph.push(cube)
    theirs = graph.pull().to_ndarray(format="rgb24").astype(float)
    assert np.abs(ours - theirs).mean() < 0.5


@pytest.mark.parametrize(("layout", "size"), [("equirect", (48, 96)), ("cubemap", (48, 72)), ("eac", (48, 72))])
def test_heights(tmp_path: Path, layout: str, size: tuple[int, int]) -> None:
    film = open_film(tmp_path / "pano.mp4", 8, layout=layout, height=48)
    (part,) = write(film, session(1))
    assert part.shape == (T, *size, 3)
    assert film.size == size
    assert read(film.path).shape == part.shape


def test_an_equi_angular_film_claims_nothing(tmp_path: Path) -> None:
    film = open_film(tmp_path / "eac.mp4", 8, layout="eac")
    write(film, session(1))
    assert read_spherical(film.path) is None
    assert film.size == (2 * (SIZE + 4), 3 * (SIZE + 4))


def test_a_preview(tmp_path: Path) -> None:
    film = open_film(tmp_path / "pano.gif", 8, height=32)
    write(film, session(2))
    with Image.open(film.path) as image:
        assert (image.size, image.n_frames) == ((64, 32), 8)


@pytest.mark.parametrize(("limit", "parts"), [(1, [1]), (4, [4]), (6, [4, 2]), (8, [4, 4]), (99, [4, 4, 4])])
def test_exactly_so_many_frames(tmp_path: Path, limit: int, parts: list[int]) -> None:
    film = open_film(tmp_path / "pano.mp4", 8, frames=limit)
    assert [len(part) for part in write(film, session(3))] == parts
    assert film.frames == len(read(film.path)) == sum(parts)


def test_windows_come_in_order_whatever_the_events_do() -> None:
    """Faces of the next window may arrive before this one is whole."""
    first, second = list(session(1)), [event(e.seq + 99, 1, e.payload, e.final) for e in session(1)]
    windows = Windows()
    ready = [windows.add(item) for item in [*first[:7], *second, *first[7:]]]
    assert [len(out) for out in ready] == [0] * (len(ready) - 1) + [2]
    with pytest.raises(ValueError, match="came after its window"):
        windows.add(first[0])
    with pytest.raises(ValueError, match="before the face"):
        Windows().add(first[-1])


@pytest.mark.parametrize("mend", [True, False])
def test_a_real_session_makes_every_window(mend: bool) -> None:
    """With and without seams mended, every face becomes final, and the film holds what was sent last."""
    model = tiny_panorama(codec={"class": "faces", **SIZES, "mend": mend})
    windows, last = Windows(), {}
    ready = []
    for item in model.session(seed=2).stream(frames=6):
        patch, key = item.payload, (item.chunk.start, item.payload.face)
        if item.replaces is None:
            last[key] = patch.frames.copy()
        patch.paint(last[key])
        ready += windows.add(item)
    assert len(ready) == 3
    for number, window in enumerate(ready):
        np.testing.assert_array_equal(window, np.stack([last[2 * number, face] for face in FACES]))


def test_what_is_sent_in_may_be_written_over() -> None:
    """A session may reuse its arrays: faces are copied."""
    windows, events = Windows(), list(session(1, strips=False))
    for item in events[:-1]:
        windows.add(item)
        item.payload.frames[:] = 0
    (ready,) = windows.add(events[-1])
    assert ready[:5].max() == 250


@pytest.mark.parametrize("ending", ["mp4", "webm"])
def test_ctrl_c_leaves_whole_windows(tmp_path: Path, ending: str) -> None:
    film = open_film(tmp_path / f"pano.{ending}", 8)
    with pytest.raises(KeyboardInterrupt), film:
        for count, item in enumerate(session(3)):
            film.add(item)
            if count == 28:  # in the third window
                raise KeyboardInterrupt
    assert len(read(film.path)) == 8
    assert read_spherical(film.path) == SphericalInfo()
    assert list(tmp_path.iterdir()) == [film.path]


def test_an_exception_leaves_the_part(tmp_path: Path) -> None:
    film = open_film(tmp_path / "pano.mp4", 8)
    with pytest.raises(RuntimeError), film:
        for item in session(2):
            film.add(item)
        raise RuntimeError
    assert list(tmp_path.iterdir()) == [film.part]
    assert len(read(film.part)) == 8
    assert read_spherical(film.part) == SphericalInfo()


def test_no_whole_window_leaves_nothing(tmp_path: Path) -> None:
    for name in ("pano.mp4", "pano.png"):
        film = open_film(tmp_path / name, 8)
        write(film, iter(list(session(1))[:5]))
        assert list(tmp_path.iterdir()) == []


def test_players_are_told(tmp_path: Path) -> None:
    film = open_film(tmp_path / "pano.mp4", 8)
    write(film, session(1))
    with av.open(str(film.path)) as container:
        for frame in container.decode(video=0):
            assert "SPHERICAL" in {item.type.name for item in frame.side_data}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"layout": "fisheye"}, "layout must be one of equirect, cubemap, eac, faces, got 'fisheye'"),
        ({"layout": "faces"}, "faces are written one by one as .png"),
        ({"height": 33}, "even number of pixels"),
        ({"height": "tall"}, "even number of pixels, 16 or more, of a picture: got 'tall'"),
        ({"path": "pano.png", "height": 64}, "faces are written as they are"),
        ({"frames": 0}, "frames must be 1 or more"),
        ({"fps": 0}, "fps must be above 0"),
        ({"path": "pano.avi"}, "must end in one of"),
        ({"path": "none/pano.mp4"}, "no folder"),
    ],
)
def test_wishes_that_cannot_be_met(tmp_path: Path, arguments: dict[str, Any], said: str) -> None:
    path = tmp_path / arguments.pop("path", "pano.mp4")
    with pytest.raises(UserError, match=said):
        open_film(path, **{"fps": 8, **arguments})
    assert list(tmp_path.iterdir()) == []


def test_it_takes_faces_only(tmp_path: Path) -> None:
    wrong = Event(0, Chunk(0, 0, T, ()), 0, True, np.zeros((T, 8, 8, 3), np.uint8))
    with pytest.raises(TypeError, match="made of faces"), open_film(tmp_path / "pano.mp4", 8) as film:
        film.add(wrong)
