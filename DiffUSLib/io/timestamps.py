"""Times as files write them."""

from __future__ import annotations

import datetime


def seconds_of(text: str) -> float:
    """Seconds of a number (also with a decimal comma) or of a date and time by ISO 8601; NaN where it is neither.

    Dates count from 1970, in UTC unless they say otherwise; a time of day alone (10:22:30.5) counts from midnight.
    """
    text = text.strip()
    try:
        return float(text.replace(",", "."))
    except ValueError:
        pass
    if text.count(":") == 2 and "-" not in text and "T" not in text:
        text = f"1970-01-01T{text:0>8}" if text.index(":") == 2 else f"1970-01-01T0{text}"
    try:
        moment = datetime.datetime.fromisoformat(_for_old_pythons(text))
    except ValueError:
        return float("nan")
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.timezone.utc)
    return moment.timestamp()


def seconds_of_dicom(date: str, time: str) -> float:
    """Seconds of a DICOM date (YYYYMMDD) and time (HHMMSS.FFFFFF; PS3.5 6.2), as `seconds_of`; NaN if incomplete."""
    whole, _, fraction = time.partition(".")
    if len(date) != 8 or len(whole) != 6:
        return float("nan")
    day, clock = (date[:4], date[4:6], date[6:]), (whole[:2], whole[2:4], whole[4:])
    return seconds_of(f"{'-'.join(day)}T{':'.join(clock)}.{fraction or '0'}")


def _for_old_pythons(text: str) -> str:
    """Python 3.10 reads fractions of three or six digits only, and no Z."""
    text = text.replace("Z", "+00:00").replace(",", ".")
    start, dot, rest = text.partition(".")
    if not dot:
        return text
    digits = rest[: len(rest) - len(rest.lstrip("0123456789"))]
    return f"{start}.{digits[:6]:0<6}{rest[len(digits) :]}"
