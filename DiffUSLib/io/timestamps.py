"""Times as files write them."""

from __future__ import annotations

import datetime


def seconds_of(text: str) -> float:
    """Seconds of a number (also with a decimal comma) or of a date and time by ISO 8601; NaN where it is neither.

    Dates count from 1970, in UTC unless they say otherwise.
    """
    text = text.strip()
    try:
        return float(text.replace(",", "."))
    except ValueError:
        pass
    try:
        moment = datetime.datetime.fromisoformat(_for_old_pythons(text))
    except ValueError:
        return float("nan")
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.timezone.utc)
    return moment.timestamp()


def _for_old_pythons(text: str) -> str:
    """Python 3.10 reads fractions of three or six digits only, and no Z."""
    text = text.replace("Z", "+00:00").replace(",", ".")
    start, dot, rest = text.partition(".")
    if not dot:
        return text
    digits = rest[: len(rest) - len(rest.lstrip("0123456789"))]
    return f"{start}.{digits[:6]:0<6}{rest[len(digits) :]}"
