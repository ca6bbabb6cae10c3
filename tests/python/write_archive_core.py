"""Writes objects as archive-core does, with the BSON library that it uses, and prints the SQL of their rows.

    write_archive_core.py FOLDER BUCKET < records.json

Records are a list of {topic, timestamp, key, value, headers}, bytes in hex. Objects go into FOLDER under
archive-core's keys, with the hour after the day; UUIDs are random unless a header `_id` has one. Every second
object is one of its newest versions, whose annotations are the columns of the row, and `duplicate`; the others are
of its first ones, which knew three annotations.
"""

import datetime
import json
import pathlib
import sys
import uuid
import zlib

import bson

try:
    encode = bson.encode
except AttributeError:
    encode = bson.dumps


def from_hex(text):
    return None if text is None else bytes.fromhex(text)


NEWEST = {
    "public": True,
    "direct_upload": False,
    "media_type": "text/plain",
    "title": "a title",
    "sender": "",
    "file_name": "",
    "originator": "",
    "duplicate": False,
}


def document(record, text_uuid, is_client_uuid, more):
    value = from_hex(record["value"])
    headers = [(from_hex(name).decode(), from_hex(data)) for name, data in record["headers"]]
    return {
        "message": value,
        "metadata": {
            "timestamp": record["timestamp"],
            "headers": headers,
            "key": from_hex(record["key"]),
            "topic": record["topic"],
        },
        "annotations": {
            "con_text_uuid": text_uuid,
            "con_is_client_uuid": is_client_uuid,
            "con_message_crc32": zlib.crc32(value),
        }
        | more,
    }


def main(folder, bucket):
    for number, record in enumerate(json.load(sys.stdin)):
        ids = [from_hex(data) for name, data in record["headers"] if from_hex(name) == b"_id"]
        own = uuid.UUID(bytes=ids[0]) if ids else uuid.uuid4()
        more = NEWEST if number % 2 else {}
        body = encode(document(record, str(own), bool(ids), more))
        time = datetime.datetime.fromtimestamp(record["timestamp"] / 1000, datetime.timezone.utc)
        key = f"{record['topic']}/{time.year}/{time.month}/{time.day}/{time.hour}/{own}.bson"
        path = folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
        print(
            "INSERT INTO messages (topic, timestamp, uuid, size, key, bucket, crc32, is_client_uuid, public, "
            f"direct_upload, message_crc32, title, media_type) VALUES ('{record['topic']}', {record['timestamp']}, '{own}', "
            f"{len(body)}, '{key}', '{bucket}', {zlib.crc32(body)}, {bool(ids)}, true, false, "
            f"{zlib.crc32(from_hex(record['value']))}, 'a title', '{more.get('media_type', '')}');"
        )
        print(f"INSERT INTO message_ts VALUES ('{own}', to_tsvector('text'), true);")


main(pathlib.Path(sys.argv[1]), sys.argv[2])
