"""Plans."""

from unreel.engine.plan import TimePlan, choosy


def test_time_goes_on_for_ever_or_ends() -> None:
    endless = TimePlan(3, (4, 2, 2))
    chunk = endless.chunk(10**6)
    assert chunk is not None
    assert (chunk.start, chunk.frames, chunk.shape) == (3 * 10**6, 3, (3, 4, 2, 2))
    assert TimePlan(3, (4, 2, 2), length=2).chunk(2) is None


def test_a_plan_that_is_not_plain_time_is_asked_what_it_sees() -> None:
    class Other:
        pass

    assert not choosy(TimePlan(1, (1,)))
    assert choosy(Other())
