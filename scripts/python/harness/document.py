"""A stored document: decoded by pymongo's bson, and held to the format that the archive promises."""

import uuid
import zlib
from dataclasses import dataclass, field

import bson
from bson.int64 import Int64

from harness.identity import content_digest, first_text

FIELDS = ["message", "metadata", "annotations"]
METADATA = ["timestamp", "headers", "key", "topic", "partition", "offset", "timestamp_type"]
# Of a topic whose id the archiver learned.
TOPIC_ID = ["topic_id"]
TEXTS = {"title": b"title", "sender": b"_sender", "file_name": b"file_name", "originator": b"originator"}


@dataclass(slots=True)
class Content:
    """What is compared of a document; `problems` are breaches of the format, whatever record it is of."""

    size: int
    crc32: int
    place: tuple = None
    timestamp_type: str = None
    digest: bytes = None
    uuid: object = None
    is_client_uuid: bool = None
    requested_uuid: object = None
    message_crc32: int = None
    texts: dict = None
    media_type: str = None
    public: bool = None
    direct_upload: bool = None
    problems: list = field(default_factory=list)


def describe(body, crc32):
    content = Content(len(body), crc32)
    try:
        document = bson.decode(body)
        _fill(content, document)
    except Exception as error:  # noqa: BLE001: whatever a broken document does to a decoder
        content.problems.append(f"it cannot be decoded: {error!r}")
    return content


def _fill(content, document):
    metadata, notes = document["metadata"], document["annotations"]
    headers = _headers(metadata, notes)
    content.place = tuple(metadata[name] for name in ("topic", "partition", "offset", "timestamp"))
    content.timestamp_type = metadata["timestamp_type"]
    content.digest = content_digest(metadata["key"], document["message"], headers)
    content.uuid = uuid.UUID(notes["con_text_uuid"])
    content.is_client_uuid = notes["con_is_client_uuid"]
    requested = notes.get("requested_uuid")
    content.requested_uuid = requested and uuid.UUID(requested)
    content.message_crc32 = notes["con_message_crc32"]
    content.texts = {name: notes[name] for name in TEXTS}
    content.media_type = notes["media_type"]
    content.public, content.direct_upload = notes["public"], notes["direct_upload"]
    content.problems += _breaches(content, document, headers)


def _headers(metadata, notes):
    """Pairs of bytes; names that are not UTF-8 stand in an annotation."""
    names = notes.get("header_names_raw") or [name.encode() for name, _ in metadata["headers"]]
    return list(zip(names, (value for _, value in metadata["headers"]), strict=True))


def _breaches(content, document, headers):
    metadata, notes = document["metadata"], document["annotations"]
    expected_texts = {name: first_text(headers, header) for name, header in TEXTS.items()}
    checks = {
        "its fields are not message, metadata, annotations": list(document) == FIELDS,
        "the fields of its metadata are others, or in another order": list(metadata)
        in (METADATA, METADATA + TOPIC_ID),
        "its value is neither null nor binary of subtype 0": _is_binary(document["message"]),
        "its key is neither null nor binary of subtype 0": _is_binary(metadata["key"]),
        "a header's value is neither null nor binary of subtype 0": all(_is_binary(v) for _, v in headers),
        "its UUID is not written in lower case with hyphens": notes["con_text_uuid"] == str(content.uuid),
        "its content_digest is not that of its content": notes["content_digest"] == content.digest.hex(),
        "its CRC-32 is not that of its value": content.message_crc32 == zlib.crc32(document["message"] or b""),
        "title, sender, file_name or originator is not the header's": content.texts == expected_texts,
        "it has no media type": bool(content.media_type),
        "an integer has the wrong width": all(
            isinstance(number, Int64) != (-(2**31) <= number < 2**31)
            for number in (metadata["timestamp"], metadata["offset"], metadata["partition"], content.message_crc32)
        ),
    }
    return [breach for breach, holds in checks.items() if not holds]


def _is_binary(value):
    # Subtype 0 is decoded as bytes, every other one as bson.Binary, which is a kind of bytes.
    return value is None or type(value) is bytes
