"""Two bones of ASF and AMC, their joints placed by hand."""

from pathlib import Path

import numpy as np
import pytest

from unreel.engine.errors import UserError
from unreel.modalities.skeleton.acclaim import read_amc, read_asf

ASF = """# made by hand
:version 1.10
:name two
:units
  mass 1.0
  length 0.45
  angle deg
:documentation
  nothing
:root
   order TX TY TZ RX RY RZ
   axis XYZ
   position 0 0 0
   orientation 0 0 0
:bonedata
  begin
     id 1
     name upper
     direction 0 1 0
     length 10
     axis 0 0 90 XYZ
    dof rx ry rz
    limits (-160.0 20.0)
           (-70.0 70.0)
           (-60.0 70.0)
  end
  begin
     id 2
     name lower
     direction 1 0 0
     length 5
     axis 0 0 0 XYZ
    dof ry
    limits (-10.0 170.0)
  end
:hierarchy
  begin
    root upper
    upper lower
  end
"""
AMC = """#!OML:ASF two.asf
:FULLY-SPECIFIED
:DEGREES
1
root 0 0 0 0 0 0
upper 0 0 0
lower 0
2
root 9 18 27 0 90 0
upper 90 0 0
lower 90
3
root 0 0 0 90 0 90
upper 0 0 0
lower 0
"""
UNIT = 0.0254 / 0.45


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "two.asf").write_text(ASF.replace("\n", "\r\n"))
    (tmp_path / "a.amc").write_text(AMC.replace("\n", "\r\n"))
    return tmp_path


def test_the_rest_pose(files: Path) -> None:
    acclaim = read_asf(files / "two.asf")
    assert acclaim.skeleton.names == ("root", "upper", "lower", "lower_end")
    assert acclaim.skeleton.parents.tolist() == [-1, 0, 1, 2]
    expected = np.asarray([[0, 0, 0], [0, 0, 0], [0, 10, 0], [5, 10, 0]]) * UNIT
    assert np.allclose(acclaim.skeleton.positions, expected)
    assert acclaim.bones["upper"].limits == ((-160, 20), (-70, 70), (-60, 70))


def test_positions_by_hand(files: Path) -> None:
    motion = read_amc(files / "a.amc", read_asf(files / "two.asf"))
    assert (motion.frames, motion.fps) == (3, 120)
    positions = motion.positions() / UNIT
    assert np.allclose(positions[0], [[0, 0, 0], [0, 0, 0], [0, 10, 0], [5, 10, 0]], atol=1e-4)
    # The upper bone's own x axis is the world's y (turned by 90 degrees around z), so rx turns it in place: the lower
    # bone goes from +x to -z. Its own 90 degrees around y are on top (+x to -z again: now to -x), and the root's
    # 90 degrees around y last: -x to +z.
    at = np.asarray([9.0, 18, 27])
    assert np.allclose(positions[1], at + [[0, 0, 0], [0, 0, 0], [0, 10, 0], [0, 10, 5]], atol=1e-4)
    # The root turns around fixed axes, x first: y goes to z around x and stays there around z; x stays, then goes to y.
    assert np.allclose(positions[2], [[0, 0, 0], [0, 0, 0], [0, 0, 10], [0, 5, 10]], atol=1e-4)


def test_radians_and_another_unit(files: Path) -> None:
    (files / "r.asf").write_text(ASF.replace("length 0.45", "length 1.0"))
    (files / "r.amc").write_text(AMC.replace(":DEGREES", ":RADIANS").replace("90", str(np.pi / 2)))
    motion = read_amc(files / "r.amc", read_asf(files / "r.asf"), fps=60)
    whole = read_amc(files / "a.amc", read_asf(files / "two.asf"))
    assert motion.fps == 60
    ratio = motion.skeleton.size / whole.skeleton.size
    assert np.allclose(motion.positions(), whole.positions() * ratio, atol=1e-4)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("upper 0 0 0\nlower 0\n2", "upper 0 0 0\nelbow 0\n2", "'elbow'"),
        ("lower 90", "lower 90 3", "not all alike"),
        ("upper 0 0 0\nlower 0\n2", "upper 0 0\nlower 0 0\n2", "damaged|other numbers|moves"),
        (AMC, "nothing", "no frame 1"),
    ],
)
def test_bad_amc_is_one_line(files: Path, old: str, new: str, message: str) -> None:
    (files / "b.amc").write_text(AMC.replace(old, new))
    with pytest.raises(UserError, match=message) as caught:
        read_amc(files / "b.amc", read_asf(files / "two.asf"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (":bonedata", ":bones", "no :bonedata"),
        ("upper lower", "upper hand", "'hand'"),
        ("length 10", "length ten", "no complete ASF"),
        (":hierarchy", ":tree", "hierarchy"),
        ("direction 1 0 0", "", "direction"),
    ],
)
def test_bad_asf_is_one_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    (tmp_path / "b.asf").write_text(ASF.replace(old, new))
    with pytest.raises(UserError, match=message) as caught:
        read_asf(tmp_path / "b.asf")
    assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match="cannot be read"):
        read_asf(tmp_path / "none.asf")
