"""What DiffUS says when something is wrong with what it was given."""


class DiffUSError(ValueError):
    """A mistake in the input. The message is one sentence for the user: what is wrong and what to do."""


class DiffUSWarning(UserWarning):
    """Something was replaced, clamped or skipped; the result is valid, but the user should know."""
