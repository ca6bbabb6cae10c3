"""What only a cluster of its own can show: a partition without a leader, a corrupt batch that is skipped, a log that
an unclean election truncated, and an object of an older archiver that cannot be read; while another topic is written
and archived all the time."""

import json
import os
import random
import subprocess
import threading
import time
import uuid
import zlib
from collections import defaultdict

import bson
from bson.int64 import Int64
from confluent_kafka import Producer
from psycopg.errors import UndefinedColumn, UndefinedTable

from harness.archive import Archive
from harness.comparison import Findings
from harness.content import Content
from harness.document import describe
from harness.identity import content_digest, object_key
from harness.own_kafka import OwnKafka

PATIENCE = 120
# Node 0 stays up. The others hold what is damaged; a topic of both is led by the first one.
STAYS, LEADER, FOLLOWER = 0, 1, 2
STEADY, OLDER = "cluster.steady", "cluster.older"
TRUNCATED, CORRUPT, LEADERLESS = "cluster.truncated", "cluster.corrupt", "cluster.leaderless"
# Reading it fails, whoever tries: the kernel says 4096 bytes and gives a few.
UNREADABLE = "/sys/kernel/uevent_seqnum"

CONFIGURATION = """\
[archive]
archive-shutdown-seconds = 10

[hop-test]
hop-type = "kafka"
hop-hostname = "127.0.0.1"
hop-port = {port}
hop-groupname = "cluster"
hop-security-protocol = "PLAINTEXT"
hop-properties = {{ "session.timeout.ms" = 6000, "heartbeat.interval.ms" = 1000 }}

[db-test]
db-type = "postgres"
db-host = "127.0.0.1"
db-port = {services.pg_port}
db-name = "{services.pg_database}"
db-username = "{services.pg_user}"

[store-test]
store-type = "directory"
store-path = "{store}"

[listen]
api-listen = "off"
producer-listen = "off"
"""

GAPS = """
    SELECT topic, from_offset, to_offset, reason FROM gaps ORDER BY topic, from_offset, to_offset
"""


class Cluster:
    """`services` name a database of its own. Its worker is in the crew's slot "cluster"."""

    def __init__(self, program, directory, services, seed, log, crew, secrets):
        self._program = program
        self._directory = directory
        self._services = services
        self._archive = Archive(services)
        self._secrets = secrets
        self._log = log
        self._crew = crew
        self._rng = random.Random(f"{seed} cluster")
        self._content = Content(self._rng)
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        # topic: list of (offset, digest) that Kafka acknowledged
        self.acknowledged = defaultdict(list)
        self.findings = Findings()
        self.archived_the_second_time = 0
        self.done = {}
        directory.mkdir()
        self._kafka = OwnKafka(directory / "kafka", 3)
        self._store = directory / "store"
        self._configuration = directory / "housekeeping.toml"
        self._configuration.write_text(
            CONFIGURATION.format(port=self._kafka.address.rsplit(":", 1)[1], services=services, store=self._store)
        )
        (directory / "veto.list").touch()

    def arguments(self, *command):
        files = ["--config", str(self._configuration), "--veto-list", str(self._directory / "veto.list")]
        return [*command, *files, "-H", "hop-test", "-D", "db-test", "-S", "store-test"]

    def run(self):
        """Does all of it; findings and what was done."""
        for topic, nodes in {STEADY: [STAYS], OLDER: [STAYS], CORRUPT: [FOLLOWER], LEADERLESS: [FOLLOWER]}.items():
            self._kafka.create(topic, nodes)
        self._kafka.create(TRUNCATED, [LEADER, FOLLOWER], {"unclean.leader.election.enable": "true"})
        self._producer = Producer({"bootstrap.servers": self._kafka.address, "log_level": 2, "linger.ms": 0})
        self._send(TRUNCATED, 5)
        steady = threading.Thread(target=self._send_steadily, daemon=True)
        steady.start()
        try:
            self._crew.start("cluster")
            self._await_archived(STEADY, TRUNCATED)
            repair = self._make_unreadable()
            self._stop_follower_with_a_corrupt_batch()
            self._truncate()
            self._skip_what_is_corrupt()
            repair()
        finally:
            self._stopped.set()
            steady.join()
        self._await_archived(*self.acknowledged)
        self._crew.terminate("cluster")
        self._compare()

    def close(self):
        self._stopped.set()
        self._kafka.close()

    # The damage, in its order.

    def _make_unreadable(self):
        """An object and a row as archive-core wrote them; the object cannot be read until the function that is
        returned is called. Its record comes, and others after it."""
        timestamp = int(time.time() * 1000) - 86_400_000
        value, key = self._rng.randbytes(500), self._content.key()
        of = uuid.UUID(bytes=self._rng.randbytes(16), version=4)
        folder, name = object_key(OLDER, timestamp, of).rsplit("/", 1)
        place = f"{folder}/{timestamp // 3_600_000 % 24}/{name}"
        body = bson.encode(
            {
                "message": value,
                "metadata": {"timestamp": Int64(timestamp), "headers": [], "key": key, "topic": OLDER},
                "annotations": {
                    "con_text_uuid": str(of),
                    "con_is_client_uuid": False,
                    "con_message_crc32": Int64(zlib.crc32(value)),
                },
            }
        )
        [(bucket,)] = self._query("SELECT DISTINCT bucket FROM messages")
        path = next(self._store.glob("*/cluster.steady")).parent / place
        path.parent.mkdir(parents=True)
        path.symlink_to(UNREADABLE)
        self._query(
            f"""
            INSERT INTO messages (topic, timestamp, uuid, size, key, bucket, crc32, is_client_uuid, public,
                direct_upload, message_crc32)
            VALUES ('{OLDER}', {timestamp}, '{of}', {len(body)}, '{place}', '{bucket}', {zlib.crc32(body)}, false,
                false, false, {zlib.crc32(value)})
            RETURNING id
            """
        )
        self._older = of
        self._produce(OLDER, key, value, timestamp)
        self._producer.flush(PATIENCE)
        self._send(OLDER, 9)
        self._await(f"9 of {OLDER}", lambda: self._count(OLDER) == 9)
        self._await_archived(STEADY)
        self._note("unreadable_objects", 1)

        def repair():
            path.unlink()
            path.write_bytes(body)

        return repair

    def _stop_follower_with_a_corrupt_batch(self):
        """Its partitions have no leader, and the others are archived."""
        self._crew.terminate("cluster")
        for _ in range(6):
            self._send(CORRUPT, 5)
        self._send(LEADERLESS, 10)
        self._kafka.stop(FOLLOWER)
        damaged = self._rng.choice([at for at, _ in self.acknowledged[CORRUPT]])
        self._corrupt = self._kafka.corrupt_batch(FOLLOWER, CORRUPT, damaged)
        self._crew.start("cluster")
        self._kafka.wait_for_leader(LEADERLESS, None)
        self._send(TRUNCATED, 10)
        self._await_archived(STEADY, TRUNCATED)
        if self._count(LEADERLESS):
            raise RuntimeError(f"{LEADERLESS} is archived although no node led it")
        self._note("partitions_without_a_leader", 2)

    def _truncate(self):
        """The follower leads without the last ten records, and takes others in their place."""
        self._crew.terminate("cluster")
        self._kafka.stop(LEADER)
        self._kafka.start(FOLLOWER)
        self._kafka.wait_for_leader(TRUNCATED, FOLLOWER)
        self._send(TRUNCATED, self._rng.choice([4, 10, 25]))
        self._kafka.start(LEADER)
        self._kafka.wait_for_leader(TRUNCATED, LEADER)
        self._crew.start("cluster")
        self._await_archived(TRUNCATED, LEADERLESS, STEADY)
        self._note("truncated_logs", 1)

    def _skip_what_is_corrupt(self):
        begin, end = self._corrupt
        self._await(f"{begin} of {CORRUPT}", lambda: self._count(CORRUPT) == begin)
        self._command(0, "skip", CORRUPT, "0", f"{begin}..{end}")
        self._note("corrupt_batches", 1)

    # Records.

    def _send_steadily(self):
        while not self._stopped.wait(0.05):
            self._send(STEADY, 2)

    def _send(self, topic, count):
        for _ in range(count):
            self._produce(topic, self._content.key(), self._rng.randbytes(200), int(time.time() * 1000))
        self._producer.flush(PATIENCE)

    def _produce(self, topic, key, value, timestamp):
        digest = content_digest(key, value, [])

        def acknowledge(error, message):
            if error is None:
                with self._lock:
                    self.acknowledged[topic].append((message.offset(), digest))

        self._producer.produce(topic, value=value, key=key, partition=0, timestamp=timestamp, on_delivery=acknowledge)

    # The archive.

    def _await_archived(self, *topics):
        """Until what is acknowledged now is archived, or in a gap that is no truncation's."""
        with self._lock:
            due = {topic: set(self.acknowledged[topic]) for topic in topics}

        def are_archived():
            gaps = self._query(GAPS)
            for topic, records in due.items():
                rows = self._query(f"SELECT kafka_offset, content_digest FROM messages WHERE topic = '{topic}'")
                left = records - {(offset, bytes(digest or b"")) for offset, digest in rows}
                if not all(is_in_gap(gaps, topic, offset) for offset, _ in left):
                    return False
            return True

        self._await(f"all of {', '.join(topics)}", are_archived)

    def _count(self, topic):
        return self._query(f"SELECT count(*) FROM messages WHERE topic = '{topic}' AND kafka_offset IS NOT NULL")[0][0]

    def _query(self, statement):
        with self._services.connect() as connection:
            return connection.execute(statement).fetchall()

    def _await(self, what, holds):
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                if holds():
                    return
            except (UndefinedTable, UndefinedColumn):
                # The worker has not made them yet.
                pass
            if time.monotonic() > deadline:
                raise RuntimeError(f"never archived: {what}")
            time.sleep(0.25)

    def _command(self, code, *command):
        done = subprocess.run(
            [self._program, *self.arguments(*command)],
            cwd=self._directory,
            env={**os.environ, **self._secrets},
            capture_output=True,
            text=True,
        )
        if done.returncode != code:
            raise RuntimeError(f"{command[0]} ended with {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout

    def _note(self, what, count):
        self._log(f"cluster: {what}: {count}")
        self.done[what] = count

    def _compare(self):
        """Everything that was acknowledged has one row, or is in a gap; nothing else has one."""
        summary = json.loads(self._command(0, "run", "--until-eos", "--json").splitlines()[-1])
        self.archived_the_second_time = summary["archived"]
        expected = {(topic, *record) for topic, records in self.acknowledged.items() for record in records}
        rows, gaps = self._archive.rows(), self._query(GAPS)
        found = defaultdict(list)
        for row in rows:
            found[row.topic, row.offset, bytes(row.digest or b"")].append(row)
        lost = 0
        for topic, offset, digest in sorted(expected):
            of = found.pop((topic, offset, digest), [])
            if len(of) > 1:
                self.findings.twice.append(f"{topic} offset {offset}: {[str(row.uuid) for row in of]}")
            if not of and is_in_gap(gaps, topic, offset):
                lost += 1
            elif not of:
                self.findings.missing.append(f"{topic} offset {offset}")
        for topic, offset, _ in found:
            self.findings.not_in_stream.append(f"{topic} offset {offset}")
        self._compare_gaps(gaps, {(row.topic, row.offset) for row in rows})
        self._compare_objects(rows)
        self._compare_defects()
        self.done |= {"records": len(expected), "rows": len(rows), "records_skipped_and_recorded": lost}

    def _compare_gaps(self, gaps, archived):
        for topic, begin, end, reason in gaps:
            inside = [at for at in range(begin, end) if (topic, at) in archived]
            if inside and reason != "truncated":
                self.findings.false_gaps.append(f"{topic} offsets {begin} to {end}: {inside[0]} is archived")
        due = [(CORRUPT, *self._corrupt, "skipped"), (TRUNCATED, 5, 15, "truncated")]
        for gap in due:
            if gap not in gaps:
                self.findings.missing.append(f"a gap {gap}: {gaps}")
        for gap in gaps:
            if tuple(gap) not in due:
                self.findings.false_gaps.append(f"{gap} is none")

    def _compare_objects(self, rows):
        for row in rows:
            path = next(self._store.glob(f"*/{row.key}"), None)
            if path is None:
                self.findings.without_object.append(f"{row.uuid}: {row.key}")
                continue
            body = path.read_bytes()
            if (len(body), zlib.crc32(body)) != (row.size, row.crc32):
                self.findings.different.append(f"{row.key}: size or CRC-32")
            # archive-core's objects have fewer fields.
            if row.uuid == self._older:
                continue
            content = describe(body, row.crc32)
            self.findings.different += [f"{row.key}: {problem}" for problem in content.problems]
            if (content.place, content.digest) != (row.place, bytes(row.digest)):
                self.findings.different.append(f"{row.key}: {content.place} against {row.place}")

    def _compare_defects(self):
        """`verify` reports the two gaps, and nothing else."""
        lines = self._command(1, "verify", "--deep", "--json").splitlines()
        defects = [line["defect"] for line in map(json.loads, lines) if line.get("defect")]
        for defect in defects:
            if defect["kind"] != "gap":
                self.findings.different.append(f"verify reports {defect}")


def is_in_gap(gaps, topic, offset):
    """Whether it is recorded as lost. A truncated log's gap is about records that were archived."""
    return any(of == topic and begin <= offset < end and reason != "truncated" for of, begin, end, reason in gaps)
