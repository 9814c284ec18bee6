"""streaming/media: every format round-trips, nothing is held back, keys come when asked for."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from unreel.engine.errors import UserError
from unreel.streaming.media import open_encoder
from unreel.streaming.media.fmp4 import nal_units, parameter_sets, sample


def moving(count: int, height: int = 64, width: int = 64) -> np.ndarray:
    """A bright square that walks over a smooth background."""
    y, x = np.mgrid[:height, :width]
    frames = np.repeat(np.stack([x * 3, y * 3, 90 + 0 * x], -1)[None], count, 0).astype(np.uint8)
    for t in range(count):
        frames[t, height // 3 : height // 2, t % width : t % width + 8] = (250, 240, 20)
    return frames


def test_jpeg_and_rgb_are_cut_by_their_sizes() -> None:
    frames = moving(3)
    jpeg = open_encoder("jpeg", 64, 64, 15).encode(frames, False)
    first = np.asarray(Image.open(io.BytesIO(jpeg.data[: jpeg.sizes[0]])))
    assert jpeg.key
    assert np.abs(first.astype(int) - frames[0]).mean() < 4
    rgb = open_encoder("rgb", 64, 64, 15).encode(frames, False)
    assert np.array_equal(np.frombuffer(rgb.data, np.uint8).reshape(frames.shape), frames)
    assert sum(rgb.sizes) == len(rgb.data)


def test_h264_gives_every_frame_at_once_and_a_key_when_asked() -> None:
    encoder = open_encoder("h264", 64, 64, 15)
    decoder = av.CodecContext.create("h264", "r")
    shown = 0
    for chunk in range(4):
        encoded = encoder.encode(moving(8)[2 * chunk : 2 * chunk + 2], key=chunk == 2)
        assert len(encoded.sizes) == 2
        assert encoded.key is (chunk in (0, 2))
        at = 0
        for size in encoded.sizes:
            shown += len(decoder.decode(av.Packet(encoded.data[at : at + size])))
            at += size
    assert shown >= 7  # ffmpeg's decoder, not the stream, may keep one
    media, init = encoder.describe()
    assert media.codec.startswith("avc1.42")
    assert (media.width, media.height, init) == (128, 128, b"")


def test_a_late_joiner_can_start_at_a_key() -> None:
    encoder = open_encoder("h264", 64, 64, 15)
    encoder.encode(moving(4), False)
    late = encoder.encode(moving(4), True)
    picture = list(av.CodecContext.create("h264", "r").decode(av.Packet(late.data[: late.sizes[0]])))
    picture += list(av.CodecContext.create("h264", "r").decode(None))
    assert parameter_sets(late.data[: late.sizes[0]])


def test_keys_come_every_two_seconds_unasked() -> None:
    encoder = open_encoder("h264", 32, 32, 10)
    keys = [encoder.encode(moving(2, 32, 32), False).key for _ in range(21)]
    assert [i for i, key in enumerate(keys) if key] == [0, 10, 20]


@pytest.mark.parametrize(("fps", "size"), [(15, (64, 64)), (29.97, (33, 50)), (10, (16, 16))])
def test_fmp4_is_read_by_ffprobe_without_a_word(tmp_path: Path, fps: float, size: tuple[int, int]) -> None:
    encoder = open_encoder("fmp4", *size, fps)
    chunks = [encoder.encode(moving(3, *size), key=n == 3).data for n in range(6)]
    media, init = encoder.describe()
    assert media.bytes == len(init)
    path = tmp_path / "live.mp4"
    path.write_bytes(init + b"".join(chunks))
    with av.open(str(path)) as file:
        stream = file.streams.video[0]
        assert stream.average_rate is not None
        assert abs(float(stream.average_rate) - fps) < 0.02
        times = [frame.pts * stream.time_base for frame in file.decode(video=0)]
    assert len(times) == 18
    rate = Fraction(fps).limit_denominator(1001)
    assert [b - a for a, b in zip(times, times[1:], strict=False)] == [1 / rate] * 17
    if shutil.which("ffprobe") is None:
        pytest.skip("ffprobe is not installed")
    command = ["ffprobe", "-v", "warning", "-count_frames", "-show_streams", "-of", "json", str(path)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stderr == ""
    probed = json.loads(result.stdout)["streams"][0]
    assert (probed["nb_read_frames"], probed["color_space"], probed["pix_fmt"]) == ("18", "bt709", "yuv420p")


def test_every_fragment_is_playable_when_it_is_there() -> None:
    """Zero hold-back: after each chunk all its frames can be decoded from what was sent so far."""
    encoder = open_encoder("fmp4", 64, 64, 15)
    sent = b""
    for n in range(3):
        sent += encoder.encode(moving(2), False).data
        with av.open(io.BytesIO(encoder.describe()[1] + sent)) as file:
            assert sum(1 for _ in file.decode(video=0)) == 2 * (n + 1)


def test_annex_b_is_taken_apart() -> None:
    unit = b"\0\0\0\1\x67\1\2\3" + b"\0\0\1\x68\4" + b"\0\0\0\1\x65\5\6\0\0\3\7"
    assert [nal[0] & 31 for nal in nal_units(unit)] == [7, 8, 5]
    assert sample(unit) == b"\0\0\0\7\x65\5\6\0\0\3\7"
    with pytest.raises(ValueError, match="SPS and PPS"):
        parameter_sets(b"\0\0\1\x65\5")


def test_unknown_formats_are_named() -> None:
    with pytest.raises(UserError, match="h264, fmp4, jpeg, rgb"):
        open_encoder("webp", 8, 8, 10)
