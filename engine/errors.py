"""The one error a user is meant to read."""


class UserError(ValueError):
    """Bad input: one line that says what was expected, what came and what to do."""
