"""What schemathesis must be told of the archive API beyond its OpenAPI document.

BSON is written here, as schemathesis knows it not; and no document can say that one parameter is not after another.
"""

import struct

import schemathesis

DAYS = ("start_date", "end_date")
TIMES = ("start_time", "end_time")


def element(name, value):
    """One element of a document: https://bsonspec.org/spec.html."""
    head = name.replace("\0", "").encode("utf-8", "replace") + b"\0"
    if value is None:
        return b"\x0a" + head
    if isinstance(value, bool):
        return b"\x08" + head + struct.pack("<?", value)
    if isinstance(value, int):
        return b"\x12" + head + struct.pack("<q", max(-(2**63), min(2**63 - 1, value)))
    if isinstance(value, float):
        return b"\x01" + head + struct.pack("<d", value)
    if isinstance(value, dict):
        return b"\x03" + head + document(value)
    if isinstance(value, list):
        return b"\x04" + head + document({str(n): item for n, item in enumerate(value)})
    if isinstance(value, str):
        text = value.encode("utf-8", "replace") + b"\0"
        return b"\x02" + head + struct.pack("<i", len(text)) + text
    data = bytes(getattr(value, "data", value))
    return b"\x05" + head + struct.pack("<ib", len(data), 0) + data


def document(items):
    content = b"".join(element(name, value) for name, value in items.items()) + b"\0"
    return struct.pack("<i", len(content) + 4) + content


@schemathesis.serializer("application/bson")
def bson(ctx, value):
    if isinstance(value, dict):
        return document(value)
    # No document at all, which the API must refuse.
    value = getattr(value, "data", value)
    return value if isinstance(value, bytes) else repr(value).encode("utf-8", "replace")


def in_order(values, names, read):
    """The same, with the earlier of two values first."""
    try:
        first, last = (values[name] for name in names)
        is_reversed = read(first) > read(last)
    except (KeyError, TypeError, ValueError):
        # One of them is missing, or is no such value.
        return values
    return {**values, names[0]: last, names[1]: first} if is_reversed else values


@schemathesis.hook
def before_call(ctx, case, kwargs):
    case.query = in_order(case.query, TIMES, int)
    case.body = in_order(case.body, DAYS, str)
