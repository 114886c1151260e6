"""Values as the server reads and writes them: dates, UUIDs, numbers, and how Go prints them in messages."""

from __future__ import annotations

import math
import re
import struct
import uuid
from datetime import date
from decimal import Decimal
from typing import Any

DATE = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d{1,2}):(\d\d):(\d\d)(?:[.,](\d+))?(?:(Z)|([+-])(\d\d):(\d\d))", re.ASCII)
CANONICAL = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
EPOCH = date(1970, 1, 1).toordinal()
LAYOUT_PIECES = ("2006", "-", "01", "-", "02", "T", "15", ":", "04", ":", "05", "Z07:00")
WORDS = {"01": "month", "15": "hour", "04": "minute", "05": "second"}


class RefusedError(Exception):
    """What the server answers instead of a result; ``status`` is for REST."""

    def __init__(self, message: str, status: int = 422) -> None:
        super().__init__(message)
        self.message = message
        self.status = status


def parse_date(text: str) -> tuple[int, str] | None:
    """Nanoseconds since 1970 (as int64: they wrap), and the spelling that is given back; None if it is no date."""
    match = DATE.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    fraction, zulu, sign, offset_hours, offset_minutes = match.groups()[6:]
    # Python knows no year 0, and 400 years later every day of the calendar is where it was.
    try:
        days = date(year + 400, month, day).toordinal() - EPOCH - 146097
    except ValueError:
        if year < 9600:
            return None
        try:
            days = date(year - 400, month, day).toordinal() - EPOCH + 146097
        except ValueError:
            return None
    if hour > 23 or minute > 59 or second > 59:
        return None
    shift = 0
    if not zulu:
        if int(offset_hours) > 24 or int(offset_minutes) > 60:
            return None
        shift = (int(offset_hours) * 60 + int(offset_minutes)) * 60 * (1 if sign == "+" else -1)
    nanos = int((fraction or "")[:9].ljust(9, "0"))
    total = (days * 86400 + hour * 3600 + minute * 60 + second - shift) * 10**9 + nanos
    digits = (fraction or "")[:9].rstrip("0")
    zone = "Z" if shift == 0 else f"{sign}{offset_hours}:{offset_minutes}"
    spelled = f"{match[1]}-{match[2]}-{match[3]}T{hour:02d}:{match[5]}:{match[6]}{'.' + digits if digits else ''}{zone}"
    return (total + 2**63) % 2**64 - 2**63, spelled


def date_error(text: str) -> str:
    """Go's message for a date that cannot be read: the first piece that differs, or is out of its range."""
    start, rest = f'parsing time "{text}"', text
    for piece in LAYOUT_PIECES:
        size = 6 if piece == "Z07:00" else len(piece)
        if piece == "Z07:00":
            match = re.match(r"Z|[+-]\d\d:\d\d", rest)
            fits, size = match is not None, match.end() if match else 0
        elif piece.isdigit():
            fits = len(rest) >= size and rest[:size].isdecimal()
        else:
            fits = rest.startswith(piece)
        if not fits:
            return f'{start} as "{"".join(LAYOUT_PIECES)}": cannot parse "{rest}" as "{piece}"'
        top = {"01": 12, "15": 23, "04": 59, "05": 59}.get(piece)
        if top is not None and not int(piece == "01") <= int(rest[:size]) <= top:
            return f"{start}: {WORDS[piece]} out of range"
        rest = rest[size:]
    return f'{start}: extra text: "{rest}"' if rest else f"{start}: day out of range"


def parse_uuid(text: Any) -> uuid.UUID:
    """In any of the spellings that Go's library reads: with or without dashes, in braces, or as a URN."""
    if isinstance(text, str) and CANONICAL.fullmatch(text):
        return uuid.UUID(text)
    if not isinstance(text, str) or len(text.encode()) not in (32, 36, 38, 45):
        raise RefusedError(f"invalid UUID length: {len(str(text).encode())}")
    body = text
    if len(text) == 45:
        if text[:9].lower() != "urn:uuid:":
            raise RefusedError(f'invalid urn prefix: "{text[:9]}"')
        body = text[9:]
    elif len(text) == 38:
        body = text[1:-1]
    dashed = len(body) == 36
    if dashed and any(body[at] != "-" for at in (8, 13, 18, 23)):
        raise RefusedError("invalid UUID format")
    plain = body.replace("-", "") if dashed else body
    if not re.fullmatch("[0-9a-fA-F]{32}", plain):
        raise RefusedError("invalid UUID format")
    return uuid.UUID(plain)


def float_key(value: float) -> int:
    """An integer that sorts as the server's index does: NaN, which can only be asked for, lies just above zero."""
    if math.isnan(value):
        return 0x0007_FFFF_FFFF_FFFF
    bits: int = struct.unpack("<q", struct.pack("<d", value or 0.0))[0]
    return bits if bits >= 0 else -(bits & 0x7FFF_FFFF_FFFF_FFFF)


def go(value: Any) -> str:
    """As ``%v`` prints it."""
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return go_float(value)
    if isinstance(value, list):
        return "[" + " ".join(go(item) for item in value) + "]"
    if isinstance(value, dict):
        return "map[" + " ".join(f"{key}:{go(value[key])}" for key in sorted(value)) + "]"
    return str(value)


def go_float(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    exact = Decimal(repr(value)).normalize()
    exponent = exact.adjusted()
    if value and not -4 <= exponent < 6:
        digits = "".join(map(str, exact.as_tuple().digits))
        fraction = f".{digits[1:]}" if len(digits) > 1 else ""
        return f"{'-' if value < 0 else ''}{digits[0]}{fraction}e{exponent:+03d}"
    return f"{exact:f}"


def go_s(values: list[Any]) -> str:
    """``%s`` of a list: what is no string is marked."""

    def one(item: Any) -> str:
        if isinstance(item, str):
            return item
        return "%!s(" + (f"{go_type(item)}={go(item)}" if item is not None else "<nil>") + ")"

    return "[" + " ".join(one(item) for item in values) + "]"


def go_type(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, list):
        return "[]interface {}"
    return {float: "float64", int: "int64", str: "string", dict: "map[string]interface {}"}.get(type(value), "<nil>")
