"""The public names, written down: a change here is a change for users."""

import unreel


def test_public_names() -> None:
    words = "Chunk CommitMode Control Event Model Session UserError Forecaster advance export load models"
    assert set(unreel.__all__) >= set(words.split())
    assert all(hasattr(unreel, name) for name in unreel.__all__)
