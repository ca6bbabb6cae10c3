"""Reads stored objects with a BSON library of Python's and compares them with what was sent.

    read_archive.py FOLDER

FOLDER holds objects and expected.json, a list of what was sent with the object that archives it. Digest,
derived UUID and CRC are computed here, from the archive's specification alone. Works with `bson` of PyPI and with
the `bson` that comes with pymongo; only the latter tells integers of 32 and 64 bits apart.
"""

import hashlib
import json
import pathlib
import sys
import uuid
import zlib

import bson

try:
    from bson.int64 import Int64

    decode = bson.decode
except ImportError:
    Int64 = None
    decode = bson.loads

NAMESPACE = uuid.UUID("4dd07c11-22f8-576d-8fe2-fd061f8bf789")
PARTS = ["message", "metadata", "annotations"]
METADATA = ["timestamp", "headers", "key", "topic", "partition", "offset", "timestamp_type"]
ANNOTATIONS = [
    "con_text_uuid",
    "con_is_client_uuid",
    "con_message_crc32",
    "public",
    "direct_upload",
    "media_type",
    "title",
    "sender",
    "file_name",
    "originator",
    "content_digest",
]


def check(held, what, *about):
    if not held:
        sys.exit(f"{what}: {about!r}")


def equal(found, sent, what):
    check(type(found) is type(sent) and found == sent, what, found, sent)


def integer(found, sent, what):
    """Equal, and 32 bits wide where that is enough."""
    check(found == sent and isinstance(found, int), what, found, sent)
    if Int64 is not None:
        small = -(2**31) <= sent < 2**31
        check((type(found) is int) == small, f"width of {what}", type(found), sent)


def from_hex(text):
    return None if text is None else bytes.fromhex(text)


def digest(record):
    def part(data):
        return b"\xff\xff\xff\xff" if data is None else len(data).to_bytes(4, "big") + data

    text = part(record["key"]) + part(record["value"]) + len(record["headers"]).to_bytes(4, "big")
    for name, value in record["headers"]:
        text += part(name) + part(value)
    return hashlib.sha256(text).hexdigest()


def derived_uuid(record):
    fields = [record[name] for name in ("topic", "partition", "offset", "timestamp")]
    return str(uuid.uuid5(NAMESPACE, "\n".join(map(str, [*fields, digest(record)]))))


def compare(document, record):
    equal(list(document), PARTS, "parts")
    equal(document["message"], record["value"], "message")
    compare_metadata(document["metadata"], record)
    compare_annotations(document["annotations"], record)


def compare_metadata(metadata, record):
    equal(list(metadata), METADATA, "fields of metadata")
    integer(metadata["timestamp"], record["timestamp"], "timestamp")
    headers = [[name.decode("utf-8", "replace"), value] for name, value in record["headers"]]
    equal([list(pair) for pair in metadata["headers"]], headers, "headers")
    equal(metadata["key"], record["key"], "key")
    equal(metadata["topic"], record["topic"], "topic")
    integer(metadata["partition"], record["partition"], "partition")
    integer(metadata["offset"], record["offset"], "offset")
    equal(metadata["timestamp_type"], record["timestamp_type"], "timestamp_type")


def compare_annotations(annotations, record):
    fields = list(ANNOTATIONS)
    if record["requested_uuid"] is not None:
        fields.append("requested_uuid")
        equal(annotations["requested_uuid"], record["requested_uuid"], "requested_uuid")
    if any(not is_text(name) for name, _ in record["headers"]):
        fields.append("header_names_raw")
        equal(list(annotations["header_names_raw"]), [name for name, _ in record["headers"]], "header_names_raw")
    equal(list(annotations), fields, "fields of annotations")
    asked = record["client_uuid"]
    equal(annotations["con_text_uuid"], asked or derived_uuid(record), "con_text_uuid")
    equal(annotations["con_is_client_uuid"], asked is not None, "con_is_client_uuid")
    integer(annotations["con_message_crc32"], zlib.crc32(record["value"] or b""), "con_message_crc32")
    equal(annotations["content_digest"], digest(record), "content_digest")
    equal(annotations["public"], False, "public")
    equal(annotations["direct_upload"], False, "direct_upload")
    for name in ("media_type", "title", "sender", "file_name", "originator"):
        check(isinstance(annotations[name], str), name, annotations[name])


def is_text(data):
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def main(folder):
    expected = json.loads((folder / "expected.json").read_text())
    for record in expected:
        record["key"], record["value"] = from_hex(record["key"]), from_hex(record["value"])
        record["headers"] = [(from_hex(name), from_hex(value)) for name, value in record["headers"]]
        compare(decode((folder / record["object"]).read_bytes()), record)
    print(len(expected))


main(pathlib.Path(sys.argv[1]))
