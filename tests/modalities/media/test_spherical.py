"""Spherical metadata: the bytes of the RFCs, an index that still points at its pictures, readers that agree."""

import contextlib
import struct
import subprocess
import tracemalloc
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from unreel.engine.errors import UserError
from unreel.modalities.media.boxes import Box, chunk_offsets, parse
from unreel.modalities.media.mp4 import Mp4Writer
from unreel.modalities.media.projection import to_xml
from unreel.modalities.media.spherical import SphericalInfo, inject, read_spherical, write_spherical
from unreel.streaming.media.fmp4 import Track

Probe = Callable[[Path], dict[str, Any]]
INSIDE = {"moov": 0, "trak": 0, "mdia": 0, "minf": 0, "stbl": 0, "moof": 0, "traf": 0, "mfra": 0, "sv3d": 0, "proj": 0}
INSIDE |= {"stsd": 8, "avc1": 78, "hev1": 78, "av01": 78, "vp09": 78}


def walk(data: bytes, start: int = 0, end: int | None = None, path: str = "") -> dict[str, tuple[int, int]]:
    """Path -> (start, size) of every box; fails unless boxes fill their parent to the byte. Independent of boxes.py."""
    end = len(data) if end is None else end
    found: dict[str, tuple[int, int]] = {}
    while start < end:
        size, kind = struct.unpack(">I4s", data[start : start + 8])
        name = f"{path}/{kind.decode('latin1')}"
        assert 8 <= size <= end - start, f"{name} at {start}: {size} bytes in {end - start}"
        while name in found:
            name += "'"
        found[name] = (start, size)
        if kind.decode("latin1") in INSIDE:
            found |= walk(data, start + 8 + INSIDE[kind.decode("latin1")], start + size, name)
        start += size
    assert start == end, f"{path} ends at {end}, its boxes at {start}"
    return found


def encode(path: Path, codec: str = "libx264", **options: str) -> None:
    """Eight noisy frames of 64x32, eight per second."""
    with av.open(str(path), "w", format="mp4", options={k: v for k, v in options.items() if v}) as container:
        stream = container.add_stream(codec, rate=Fraction(8))
        stream.codec_context.gop_size, stream.codec_context.sample_aspect_ratio = 4, Fraction(1)
        stream.width, stream.height, stream.pix_fmt = 64, 32, "yuv420p"
        for i in range(8):
            noise = np.random.default_rng(i).integers(0, 256, (32, 64, 3), dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(noise, format="rgb24").reformat(format="yuv420p")))
        container.mux(stream.encode())


def packets(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(video=0) if packet.size]


def side_data(path: Path) -> list[str]:
    """Names of the side data on every decoded frame."""
    with av.open(str(path)) as container:
        frames = [{item.type.name for item in frame.side_data} for frame in container.decode(video=0)]
    assert all(names == frames[0] for names in frames) or "SEI_UNREGISTERED" in frames[0]
    return sorted(set.intersection(*frames))


@pytest.fixture
def led(tmp_path: Path) -> Path:
    """An MP4 whose moov leads its mdat."""
    path = tmp_path / "film.mp4"
    encode(path, movflags="faststart")
    return path


STBL = "/moov/trak/mdia/minf/stbl"


def test_the_bytes_of_version_2(led: Path) -> None:
    write_spherical(led, SphericalInfo(source="ab", yaw=-90.5, versions=(2,)))
    data = led.read_bytes()
    start, size = walk(data)[f"{STBL}/stsd/avc1/sv3d"]
    expected = (
        "00000053 73763364"  # sv3d, 83 bytes
        "0000000f 73766864 00000000 616200"  # svhd "ab"
        "0000003c 70726f6a"  # proj
        "00000018 70726864 00000000 ffa58000 00000000 00000000"  # prhd, yaw -90.5 as 16.16
        "0000001c 65717569 00000000 00000000 00000000 00000000 00000000"  # equi, whole sphere
    )
    assert data[start : start + size].hex() == expected.replace(" ", "")
    assert f"{STBL}/stsd/avc1/st3d" not in walk(data)  # mono films have none


def test_the_bytes_of_a_stereo_cubemap(led: Path) -> None:
    write_spherical(led, SphericalInfo("cubemap", stereo="left-right", padding=3))
    data = led.read_bytes()
    boxes = walk(data)
    start, size = boxes[f"{STBL}/stsd/avc1/st3d"]
    assert data[start : start + size].hex() == "0000000d" + "73743364" + "00000000" + "02"
    start, size = boxes[f"{STBL}/stsd/avc1/sv3d/proj/cbmp"]
    assert data[start : start + size].hex() == "00000014" + "63626d70" + "00000000" + "00000000" + "00000003"
    assert "/moov/trak/uuid" not in boxes  # version 1 knows no cubemaps
    order = [name.rsplit("/", 1)[1] for name in boxes if name.count("/") == 8]
    assert order.index("avcC") < order.index("st3d") < order.index("sv3d") < order.index("pasp")


def test_version_1(led: Path) -> None:
    write_spherical(led, SphericalInfo(versions=(1,), source="us & co"))
    data = led.read_bytes()
    start, size = walk(data)["/moov/trak/uuid"]
    assert data[start + 8 : start + 24].hex() == "ffcc8263f8554a938814587a02521fdd"
    xml = data[start + 24 : start + size].decode()
    for field in ("Spherical>true", "Stitched>true", "ProjectionType>equirectangular", "StitchingSoftware>us &amp; co"):
        assert f"<GSpherical:{field}</GSpherical:{field.split('>')[0]}>" in xml
    assert read_spherical(led) == SphericalInfo(versions=(1,), source="us & co")


@pytest.mark.parametrize(
    "movflags", ["faststart", "", "frag_every_frame+empty_moov+default_base_moof", "frag_keyframe"]
)
def test_the_index_still_finds_every_picture(tmp_path: Path, movflags: str) -> None:
    """moov before or behind mdat, fragments with relative and with absolute offsets: same packets, valid boxes."""
    path = tmp_path / "film.mp4"
    encode(path, movflags=movflags)
    before, old = packets(path), path.read_bytes()
    write_spherical(path, SphericalInfo())
    assert packets(path) == before
    new = path.read_bytes()
    grown = len(new) - len(old)
    assert grown == walk(new)["/moov/trak/uuid"][1] + walk(new)[f"{STBL}/stsd/avc1/sv3d"][1]
    if movflags == "faststart":
        assert new.index(b"moov") < new.index(b"mdat")
        assert [at + grown for at in offsets(old)] == offsets(new)
    if movflags == "frag_keyframe":  # absolute offsets of fragments, and an index of them at the end
        for data in (old, new):
            base, moof = walk(data)["/moof/traf/tfhd"][0], walk(data)["/moof"][0]
            assert struct.unpack(">Q", data[base + 16 : base + 24])[0] == moof
            entries = walk(data)["/mfra/tfra"][0]
            assert struct.unpack(">Q", data[entries + 32 : entries + 40])[0] == moof


def offsets(data: bytes) -> list[int]:
    start, size = walk(data)[f"{STBL}/stco"]
    (table,) = parse(data[start : start + size])
    return chunk_offsets(table)


def test_wide_offsets_and_those_that_become_wide() -> None:
    """co64 is moved too; an stco whose offsets pass 2**32 becomes one, and the tables fit their own growth."""
    for wide, first in ((True, 2**33), (False, 2**32 - 100)):
        moov = index(wide, [first, first + 10, 5])
        new = inject(moov, SphericalInfo())
        boxes = walk(new)
        assert f"{STBL}/co64" in boxes
        assert f"{STBL}/stco" not in boxes
        start, size = boxes[f"{STBL}/co64"]
        (table,) = parse(new[start : start + size])
        grown = len(new) - len(moov)
        assert chunk_offsets(table) == [first + grown, first + 10 + grown, 5]  # 5 lies before the moov's end


def index(wide: bool, chunks: list[int]) -> bytes:
    entry = Box(b"avc1", bytes(78), [Box(b"pasp", bytes(8))])
    count = struct.pack(">II", 0, len(chunks))
    table = Box(b"co64" if wide else b"stco", count + struct.pack(f">{len(chunks)}{'Q' if wide else 'I'}", *chunks))
    stbl = Box(b"stbl", children=[Box(b"stsd", bytes(7) + b"\1", [entry]), table])
    handler = Box(b"hdlr", bytes(8) + b"vide" + bytes(13))
    media = Box(b"mdia", children=[handler, Box(b"minf", children=[stbl])])
    return bytes(Box(b"moov", children=[Box(b"trak", children=[media])]))


def test_twice_replaces(led: Path) -> None:
    original = packets(led)
    write_spherical(led, SphericalInfo())
    once = led.read_bytes()
    write_spherical(led, SphericalInfo("cubemap", stereo="top-bottom"))
    assert read_spherical(led) == SphericalInfo("cubemap", stereo="top-bottom", versions=(2,))
    write_spherical(led, SphericalInfo())
    assert led.read_bytes() == once
    assert packets(led) == original
    assert [path.name for path in led.parent.iterdir()] == ["film.mp4"]


@pytest.mark.parametrize("codec", ["libx264", "libx265", "libsvtav1", "libvpx-vp9"])
@pytest.mark.parametrize("versions", [(1,), (2,), (1, 2)])
def test_pyav_reads_it_back(tmp_path: Path, codec: str, versions: tuple[int, ...]) -> None:
    if codec not in av.codecs_available:
        pytest.skip(f"this PyAV was built without {codec}")
    path = tmp_path / "film.mp4"
    encode(path, codec, movflags="faststart")
    assert "SPHERICAL" not in side_data(path)
    info = SphericalInfo(stereo="top-bottom", versions=versions)
    write_spherical(path, info)
    assert {"SPHERICAL", "STEREO3D"} <= set(side_data(path))
    assert read_spherical(path) == info


@pytest.mark.parametrize(
    ("info", "printed"),
    [
        (SphericalInfo(), {"projection": "equirectangular", "yaw": 0, "pitch": 0, "roll": 0}),
        (SphericalInfo(yaw=45, versions=(1,)), {"projection": "equirectangular"}),  # FFmpeg loses version 1's angles
        (SphericalInfo("cubemap", pitch=-30, padding=2), {"projection": "cubemap", "padding": 2, "pitch": -30}),
        (SphericalInfo(crop=(0.25, 0.25, 0, 0)), {"projection": "tiled equirectangular"}),
    ],
)
def test_ffprobe_agrees(led: Path, ffprobe: Probe, info: SphericalInfo, printed: dict[str, Any]) -> None:
    write_spherical(led, info)
    (sphere,) = (item for item in ffprobe(led)["side_data_list"] if item["side_data_type"] == "Spherical Mapping")
    assert printed.items() <= sphere.items()
    found = read_spherical(led)
    assert found is not None
    assert (found.projection, found.yaw, found.pitch, found.crop) == (info.projection, info.yaw, info.pitch, info.crop)
    warned = subprocess.run(["ffprobe", "-v", "warning", str(led)], capture_output=True, text=True, check=True)
    assert warned.stderr == ""


def test_an_init_segment(tmp_path: Path) -> None:
    """What the websocket sends first: ftyp and moov as bytes, from our own writer of fragments."""
    path = tmp_path / "film.mp4"
    encode(path, movflags="frag_every_frame+empty_moov+default_base_moof")
    sps_pps = walk(path.read_bytes())[f"{STBL}/stsd/avc1/avcC"][0]
    assert sps_pps
    unit = b"\0\0\1" + bytes.fromhex("67640015acd94080") + b"\0\0\1" + bytes.fromhex("68ebe3cb22c0") + b"\0\0\1\x65"
    init = Track(512, 256, Fraction(8), unit).init
    tagged = inject(init, SphericalInfo())
    boxes = walk(tagged)
    assert list(boxes)[:2] == ["/ftyp", "/moov"]
    assert f"{STBL}/stsd/avc1/sv3d/proj/equi" in boxes
    assert len(tagged) - len(init) == boxes["/moov/trak/uuid"][1] + boxes[f"{STBL}/stsd/avc1/sv3d"][1]
    assert inject(tagged, SphericalInfo()) == tagged
    start, size = boxes["/moov"]
    assert inject(init[start:], SphericalInfo()) == tagged[start : start + size]  # the moov alone will do


def test_large_files_take_no_memory(led: Path) -> None:
    """100 MiB are copied through a buffer of one."""
    with led.open("ab") as file:
        file.write(struct.pack(">I4s", 100 * 2**20, b"free"))
        file.truncate(file.tell() + 100 * 2**20 - 8)
    tracemalloc.start()
    try:
        write_spherical(led, SphericalInfo())
        assert tracemalloc.get_traced_memory()[1] < 8 * 2**20
    finally:
        tracemalloc.stop()
    assert read_spherical(led) is not None


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "has no moov"),
        (b"this is not a film at all", "claims"),
        (b"\0\0\0\x10ftypisom\0\0\0\1", "has no moov"),
        (bytes(Box(b"moov", children=[Box(b"trak")])), "no video track"),
        (bytes(Box(b"moov", b"\0\0\0\x09trak")), "claims"),
    ],
)
def test_what_is_no_mp4_is_refused_and_left_alone(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "film.mp4"
    path.write_bytes(content)
    with pytest.raises(UserError, match=said) as error:
        write_spherical(path, SphericalInfo())
    assert "\n" not in str(error.value)
    assert str(path) in str(error.value)
    assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(UserError, match=said):
        read_spherical(path)


def test_a_cut_file_is_refused_and_left_alone(led: Path) -> None:
    whole = led.read_bytes()
    for length in range(0, len(whole), 97):
        led.write_bytes(whole[:length])
        with pytest.raises(UserError):
            write_spherical(led, SphericalInfo())
        assert led.read_bytes() == whole[:length]


def test_damaged_bytes_never_crash(led: Path) -> None:
    """Any byte of the index changed: metadata, none, or one clear error."""
    write_spherical(led, SphericalInfo())
    whole = led.read_bytes()
    start, size = walk(whole)["/moov"]
    rng = np.random.default_rng(0)
    for at in range(start, start + size, 3):
        damaged = bytearray(whole)
        damaged[at] = rng.integers(256)
        led.write_bytes(damaged)
        with contextlib.suppress(UserError):
            read_spherical(led)
        with contextlib.suppress(UserError):
            inject(bytes(damaged), SphericalInfo())


def test_bad_wishes() -> None:
    with pytest.raises(UserError, match="stereo must be one of"):
        SphericalInfo(stereo="both")
    with pytest.raises(UserError, match="versions 1 and 2"):
        SphericalInfo(versions=(3,))
    with pytest.raises(UserError, match="projection must be equirectangular or cubemap, got 'mesh'"):
        inject(index(False, []), SphericalInfo("mesh"))
    with pytest.raises(UserError, match="expected a whole MP4 index"):
        inject(b"\x1a\x45\xdf\xa3", SphericalInfo())


def test_a_missing_file(tmp_path: Path) -> None:
    for act in (read_spherical, lambda path: write_spherical(path, SphericalInfo())):
        with pytest.raises(UserError, match="No such file"):
            act(tmp_path / "none.mp4")


def test_the_writer_tags_every_end(tmp_path: Path, film: np.ndarray) -> None:
    """A finished film, one cut by Ctrl-C, and the part that an exception leaves."""
    path = tmp_path / "film.mp4"
    with Mp4Writer(path, fps=8, spherical=SphericalInfo()) as writer:
        writer.write(film)
    assert read_spherical(path) == SphericalInfo()
    with pytest.raises(KeyboardInterrupt), Mp4Writer(path, fps=8, spherical=SphericalInfo("cubemap")) as writer:
        writer.write(film[:3])
        raise KeyboardInterrupt
    assert read_spherical(path) == SphericalInfo("cubemap", versions=(2,))
    with pytest.raises(RuntimeError), Mp4Writer(path, fps=8, spherical=SphericalInfo()) as writer:
        writer.write(film[:3])
        raise RuntimeError
    assert read_spherical(writer.part) == SphericalInfo()
    assert len(packets(writer.part)) == 3
    with Mp4Writer(path, fps=8) as writer:
        writer.write(film)
    assert read_spherical(path) is None


def test_mkv_with_a_tag_alone(tmp_path: Path) -> None:
    """Version 1 in Matroska is only a tag."""
    path = tmp_path / "film.mkv"
    with av.open(str(path), "w", format="matroska") as container:
        stream = container.add_stream("libx264", rate=Fraction(8))
        stream.width, stream.height, stream.pix_fmt = 64, 32, "yuv420p"
        stream.metadata["SPHERICAL-VIDEO"] = to_xml(SphericalInfo()) or ""
        container.mux(stream.encode(av.VideoFrame(64, 32, "yuv420p")))
        container.mux(stream.encode())
    assert read_spherical(path) == SphericalInfo(versions=(1,))
