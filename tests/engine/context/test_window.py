"""The plain policies, for plans that recompute."""

from unreel.engine.context.window import Full, SinkWindow


def test_kept_is_what_compact_keeps() -> None:
    assert list(SinkWindow(sink=2, recent=3).kept(range(10))) == [0, 1, 7, 8, 9]
    assert list(SinkWindow(sink=2, recent=3).kept(range(4))) == [0, 1, 2, 3]
    assert list(Full().kept(range(4))) == [0, 1, 2, 3]
