"""The archive as it lies there: rows by psycopg, objects by MinIO's own client."""

import os
import zlib
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

import psycopg
from minio import Minio
from minio.error import S3Error
from psycopg.rows import class_row

from harness.document import describe

CHUNK = 200
PROBE = "!probe/conditional-put"

ROWS = """
    SELECT uuid, topic, kafka_partition AS partition, kafka_offset AS "offset", "timestamp", timestamp_type,
        content_digest AS digest, size, key, bucket, crc32, message_crc32, is_client_uuid, public,
        direct_upload, retracted, title, sender, file_name, originator, media_type
    FROM messages ORDER BY id
"""
RETRIES = """
    SELECT uuid, topic, kafka_partition AS partition, kafka_offset AS "offset", "timestamp", timestamp_type
    FROM retries
"""
GAPS = """
    SELECT topic, kafka_partition AS partition, from_offset AS "from", to_offset AS "to" FROM gaps
    WHERE reason <> 'truncated'
"""
# Topics whose counter is not what counting gives.
WRONG_COUNTS = """
    WITH counted AS (
        SELECT topic, count(*) AS n, min("timestamp") AS e, max("timestamp") AS l FROM messages GROUP BY topic
    )
    SELECT coalesce(c.topic, t.topic), c.n, t.n_messages, c.e, t.e_timestamp, c.l, t.l_timestamp
    FROM counted c FULL JOIN topics t USING (topic)
    WHERE (c.n, c.e, c.l) IS DISTINCT FROM (t.n_messages, t.e_timestamp, t.l_timestamp)
"""


@dataclass(slots=True)
class Row:
    uuid: object
    topic: str
    partition: int
    offset: int
    timestamp: int
    timestamp_type: str
    digest: bytes
    size: int
    key: str
    bucket: str
    crc32: int
    message_crc32: int
    is_client_uuid: bool
    public: bool
    direct_upload: bool
    retracted: bool
    title: str
    sender: str
    file_name: str
    originator: str
    media_type: str

    @property
    def place(self):
        return (self.topic, self.partition, self.offset, self.timestamp)


@dataclass(slots=True)
class Retry:
    uuid: object
    topic: str
    partition: int
    offset: int
    timestamp: int
    timestamp_type: str

    @property
    def place(self):
        return (self.topic, self.partition, self.offset, self.timestamp)


@dataclass(slots=True)
class Gap:
    """Offsets in [from, to) that are recorded as lost; a truncated log's are archived."""

    topic: str
    partition: int
    start: int
    end: int

    def __str__(self):
        return f"{self.topic} [{self.partition}] offsets {self.start} to {self.end}"


class Archive:
    def __init__(self, services):
        self._services = services

    def rows(self):
        return self._read(ROWS, Row)

    def retries(self):
        return self._read(RETRIES, Retry)

    def gaps(self):
        return [Gap(*gap) for gap in self.query(GAPS)]

    def wrong_counts(self):
        """Lines that tell what the table topics says and what it should."""
        return [
            f"{topic}: {n} rows from {e} to {l}, topics says {told_n} from {told_e} to {told_l}"
            for topic, n, told_n, e, told_e, l, told_l in self.query(WRONG_COUNTS)
        ]

    def open_claims(self):
        return self.query("SELECT count(*) FROM uuid_claims")[0][0]

    def query(self, statement):
        with self.connect() as connection:
            return connection.execute(statement).fetchall()

    def connect(self):
        return psycopg.connect(self._services.conninfo, password=self._services.pg_password)

    def keys(self):
        """The keys of all objects of the bucket but the one that proves that the store refuses overwriting."""
        objects = client(self._services).list_objects(self._services.bucket, recursive=True)
        return {each.object_name for each in objects} - {PROBE}

    def contents(self, places):
        """For each (bucket, key), in their order: what harness.document.describe tells of the object, or
        None where there is none. Decoding takes processor time, so other processes do it."""
        chunks = [places[at : at + CHUNK] for at in range(0, len(places), CHUNK)]
        with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
            for chunk in pool.map(read_objects, [self._services] * len(chunks), chunks):
                yield from chunk

    def _read(self, statement, of):
        with self.connect() as connection, connection.cursor(row_factory=class_row(of)) as cursor:
            return cursor.execute(statement).fetchall()


def client(services):
    return Minio(
        services.s3_endpoint, access_key=services.s3_access_key, secret_key=services.s3_secret_key, secure=False
    )


def read_objects(services, places):
    store = client(services)
    return [read_object(store, bucket, key) for bucket, key in places]


def read_object(store, bucket, key):
    try:
        response = store.get_object(bucket, key)
    except S3Error as error:
        if error.code == "NoSuchKey":
            return None
        raise
    try:
        body = response.read()
    finally:
        response.close()
        response.release_conn()
    return describe(body, zlib.crc32(body))
