"""RGB to BT.709, as it is tagged."""

import numpy as np
import pytest
from av.video.reformatter import ColorRange, Colorspace

from unreel.modalities.media.colour import to_yuv709


@pytest.mark.parametrize(("rgb", "luma"), [((255, 255, 255), 235), ((0, 0, 0), 16), ((0, 255, 0), 173)])
def test_luma_is_limited_range_bt709(rgb: tuple[int, int, int], luma: int) -> None:
    frame = to_yuv709(np.full((16, 16, 3), rgb, np.uint8), 32, 32)
    assert (frame.width, frame.height, frame.format.name) == (32, 32, "yuv420p")
    assert abs(int(np.frombuffer(frame.planes[0], np.uint8)[0]) - luma) <= 1
    assert frame.colorspace == Colorspace.ITU709
    assert frame.color_range == ColorRange.MPEG
