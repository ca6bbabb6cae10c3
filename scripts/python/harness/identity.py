"""Digest, derived UUID and object key, from the archive's specification alone."""

import hashlib
import struct
import uuid
from datetime import datetime, timedelta, timezone

NAMESPACE = uuid.UUID("4dd07c11-22f8-576d-8fe2-fd061f8bf789")
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
YEAR_10000_MS = 253_402_300_800_000


def content_digest(key, value, headers):
    """SHA-256 over key, value and headers; `headers` are pairs of bytes, a value may be None."""
    hasher = hashlib.sha256()
    _put(hasher, key)
    _put(hasher, value)
    hasher.update(struct.pack(">I", len(headers)))
    for name, header_value in headers:
        _put(hasher, name)
        _put(hasher, header_value)
    return hasher.digest()


def _put(hasher, data):
    if data is None:
        hasher.update(b"\xff\xff\xff\xff")
    else:
        hasher.update(struct.pack(">I", len(data)))
        hasher.update(data)


def derived_uuid(topic, partition, offset, timestamp, digest, attempt=0):
    """`attempt` counts those of these UUIDs that a client has taken before."""
    name = f"{topic}\n{partition}\n{offset}\n{timestamp}\n{digest.hex()}"
    if attempt:
        name += f"\n{attempt}"
    return uuid.uuid5(NAMESPACE, name)


def client_uuid(headers):
    """The first header `_id` of exactly 16 bytes."""
    for name, value in headers:
        if name == b"_id" and value is not None and len(value) == 16:
            return uuid.UUID(bytes=value)
    return None


def object_key(topic, timestamp, of):
    """Where the object of UUID `of` is written."""
    if not 0 <= timestamp < YEAR_10000_MS:
        return f"{topic}/0/0/0/{of}.bson"
    day = EPOCH + timedelta(milliseconds=timestamp)
    return f"{topic}/{day.year}/{day.month}/{day.day}/{of}.bson"


def first_text(headers, name):
    """The first header of that name that is UTF-8; "" without one."""
    for each, value in headers:
        if each == name and value is not None:
            try:
                return value.decode()
            except UnicodeDecodeError:
                continue
    return ""
