"""The part `entities` of scripts/bench: rows of a kernel to Kafka, many at once and a few at a time."""

import json
import os
import random
import subprocess
import threading
import time
import uuid
from datetime import datetime, timezone
from pathlib import Path

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, TopicPartition

from harness.configuration import secrets, write_producer_configuration
from harness.crew import last_words
from harness.kernel import INSERT, MAPPING, Kernel, text
from harness.published import container
from harness.services import SCRIPTS
from harness.worker import Worker

MIB = 1 << 20
MICROS = 1_000_000
PAYLOAD_BYTES = 600
ROWS_A_SECOND = 100
PATIENCE = 600
# An application that stamps within its transaction needs no window; the margin is for its clock, and for the moment
# between the time that a transaction says it began and its place in the server's lists.
WINDOW_MS = 0
MARGIN_MS = 20
CONSUME = SCRIPTS.parent / "tests" / "python" / "consume_topic.py"
COPY_OUT = "COPY (SELECT id, modified, payload::text FROM kernel_entity ORDER BY modified) TO STDOUT (FORMAT binary)"
COPY_IN = "COPY kernel_entity (id, payload, modified, mapping_id, schemadecorator_id, project_id) FROM STDIN"


class EntityBench:
    def __init__(self, bench, sizes):
        self.bench = bench
        self.services = bench.services
        self.sizes = sizes
        self.kernel = Kernel(bench.services, "bench_kernel")
        self.rng = random.Random(sizes["entities"])
        self.words = ["".join(self.rng.choices("aeiklmnorstuyz", k=self.rng.randint(2, 9))) for _ in range(3000)]
        self.runs = 0

    def measure(self):
        kinds = [self.kernel.register(realm, name) for realm in ("north", "south") for name in ("Person", "Visit")]
        last = self.fill(kinds, self.sizes["entities"])
        self.backfill(kinds, last)
        self.consume(kinds)
        self.latency()

    # --- many at once ---

    def fill(self, kinds, count):
        """Entities of all types among each other, as they came; `number` counts those of a type in their order. The
        position of each type's last one."""
        # Four in a row have the same time: then the ids decide.
        began = int(datetime(2026, 1, 1, tzinfo=timezone.utc).timestamp() * MICROS)
        rows = []
        for n in range(count):
            entity_id = uuid.UUID(int=self.rng.getrandbits(128), version=4)
            rows.append((text(began + n // 4 * 5_428, entity_id), entity_id, self.rng.choice(kinds)))
        rows.sort(key=lambda row: row[0])
        numbers, last = dict.fromkeys(kinds, 0), {}
        with self.kernel.connect() as connection:
            with connection.cursor().copy(COPY_IN) as copy:
                for modified, entity_id, kind in rows:
                    stored = self.payload(entity_id, modified, numbers[kind])
                    use = kind.uses[0]
                    copy.write_row((entity_id, stored, modified, MAPPING, use.decorator, use.project))
                    numbers[kind] += 1
                    last[kind] = modified
            connection.execute("VACUUM ANALYZE kernel_entity")
            [[size]] = connection.execute("SELECT avg(length(payload::text))::float8 FROM kernel_entity")
        self.counts = numbers
        self.bench.note("entities", entities=count, types=len(kinds), payload_bytes=size)
        return last

    def payload(self, entity_id, modified, number):
        stored = {"id": str(entity_id), "stamp": modified, "number": number, "name": None}
        stored["place"] = {"latitude": number / 8, "tags": []}
        room = PAYLOAD_BYTES - len(json.dumps(stored))
        while room > 0:
            stored["place"]["tags"].append(" ".join(self.rng.choices(self.words, k=5)))
            room -= len(stored["place"]["tags"][-1]) + 4
        return json.dumps(stored)

    def copy_rate(self):
        with self.kernel.connect() as connection:
            began, rows = time.monotonic(), 0
            with connection.cursor().copy(COPY_OUT) as copy:
                for _ in copy:
                    rows += 1
            # Of the binary format also a head and an end.
            return (rows - 1) / (time.monotonic() - began)

    def backfill(self, kinds, last):
        """Empty topics are filled by `run`, taking turns with COPY."""
        count, copied, filled, peaks = self.sizes["entities"], [], [], []
        for turn in range(self.sizes["entity_rounds"]):
            copied.append(self.copy_rate())
            positions = f"bench_positions_{turn}"
            self.services.make_database(positions)
            before = self.processor_seconds()
            began = time.monotonic()
            worker = self.start(self.kernel, positions, turn)
            try:
                seconds = self.await_positions(worker, positions, kinds, last) - began
                used = {name: spent - before[name] for name, spent in self.processor_seconds().items()}
                used["producer"] = worker.cpu_seconds()
            finally:
                self.end(worker)
            filled.append(count / seconds)
            peaks.append(worker.peak_bytes)
            self.bench.note(
                "entities",
                **{f"copy_rate_{turn}": copied[-1], f"backfill_rate_{turn}": filled[-1]},
                **{f"processor_seconds_{turn}_{name}": spent for name, spent in used.items()},
            )
        rate = sum(filled) / len(filled)
        ratio = sum(filled) / sum(copied)
        self.bench.note("entities", backfill_rate=rate, ratio_to_copy=ratio, peak_memory_bytes=max(peaks))
        self.bench.bound("entities a second, backfill", rate, least=40_000)
        self.bench.bound("peak memory, backfill, MiB", max(peaks) / MIB, most=128)

    def await_positions(self, worker, positions, kinds, last):
        """When every type has come to its last entity."""
        wanted = {(kind.realm, kind.schema_id): last[kind] for kind in kinds}
        deadline = time.monotonic() + PATIENCE
        with self.services.connect(positions) as connection:
            while time.monotonic() < deadline:
                if worker.poll() is not None:
                    raise RuntimeError(f"the producer ended with {worker.poll()}: {last_words(worker.log)}")
                if connection.execute("SELECT to_regclass('producer_positions')").fetchone() != (None,):
                    rows = connection.execute('SELECT realm, schema_id, "position" FROM producer_positions')
                    if {(realm, schema_id): position for realm, schema_id, position in rows} == wanted:
                        return time.monotonic()
                time.sleep(0.02)
        raise RuntimeError(f"not all entities are published after {PATIENCE} s; see {worker.log}")

    def processor_seconds(self):
        return {name: tree_seconds(self.services.pid(name)) for name in ("postgres", "kafka")}

    def consume(self, kinds):
        """The consumers that users have, on the topics of the first turn."""
        for kind in kinds:
            arguments = [self.services.kafka, f"{kind.topic}-0", json.dumps(kind.definition), str(self.counts[kind])]
            read = subprocess.run([os.environ["TEST_PY_AETHER"], CONSUME, *arguments], capture_output=True, text=True)
            if read.returncode != 0:
                raise RuntimeError(f"{kind.topic} is not read as it was stored: {read.stderr.splitlines()[-1]}")
        self.bench.note("entities", read_by_aet_consumer_and_fastavro=sum(self.counts.values()))

    # --- a few at a time ---

    def latency(self):
        """From the commit until a consumer has it, at 100 rows a second."""
        kernel = Kernel(self.services, "bench_steady")
        kind = kernel.register("steady", "Person")
        positions, committed = "bench_positions_steady", {}
        self.services.make_database(positions)
        with kernel.connect() as connection:
            # A realm is one when it has an entity.
            self.write(connection, kind, 0, 10, committed)
        worker = self.start(kernel, positions, "steady", poll_ms=self.sizes["poll_ms"])
        try:
            reader = Reader(self.services.kafka, f"{kind.topic}-steady")
            reader.start()
            with kernel.connect() as connection:
                reader.wait_for(10, PATIENCE)
                before = worker.cpu_seconds()
                self.write(connection, kind, 10, self.sizes["steady_rows"], committed)
            reader.wait_for(10 + self.sizes["steady_rows"], 60)
            used = worker.cpu_seconds() - before
        finally:
            self.end(worker)
        received = reader.stop()
        if [number for number, _ in received] != list(range(len(committed))):
            raise RuntimeError(f"{len(received)} entities, not once each in order, of {len(committed)}")
        waits = sorted(1000 * (at - committed[number]) for number, at in received[10:])
        p99 = percentile(waits, 0.99)
        self.bench.note(
            "entities",
            steady_rows=len(waits),
            window_ms=WINDOW_MS,
            margin_ms=MARGIN_MS,
            commit_to_consumer_p50_ms=percentile(waits, 0.5),
            commit_to_consumer_p99_ms=p99,
            commit_to_consumer_max_ms=waits[-1],
            steady_processor_share=used / (len(waits) / ROWS_A_SECOND),
            steady_peak_memory_bytes=worker.peak_bytes,
        )
        self.bench.bound(f"ms from commit to consumer, p99, {ROWS_A_SECOND} rows a second", p99, most=250)

    def write(self, connection, kind, first, count, committed):
        """Each row a transaction of its own, within which it is stamped."""
        began = time.monotonic()
        for n in range(count):
            time.sleep(max(0, began + n / ROWS_A_SECOND - time.monotonic()))
            entity_id = uuid.uuid4()
            with connection.transaction():
                modified = text(time.time_ns() // 1000, entity_id)
                stored = self.payload(entity_id, modified, first + n)
                use = kind.uses[0]
                connection.execute(INSERT, (entity_id, stored, modified, MAPPING, use.decorator, use.project))
            committed[first + n] = time.monotonic()

    # --- processes ---

    def start(self, kernel, positions, turn, poll_ms=None):
        self.runs += 1
        directory = self.bench.options.dir
        configuration = write_producer_configuration(
            directory / f"entities-{turn}.toml",
            self.services,
            kernel=kernel.name,
            positions=positions,
            window_ms=WINDOW_MS,
            margin_ms=MARGIN_MS,
            produce=f'produce-name-modifier = "%s-{turn}"\n'
            + (f"produce-poll-interval-ms = {poll_ms}\n" if poll_ms else ""),
        )
        return Worker(
            self.bench.options.program,
            ["run", "--only", "producer", *configuration.arguments],
            secrets(self.services),
            directory,
            directory / f"producer-{self.runs}.log",
        )

    def end(self, worker):
        worker.terminate()
        if worker.wait(30) != 0:
            worker.kill()
            raise RuntimeError(f"the producer did not end in good order: {last_words(worker.log)}; see {worker.log}")


class Reader(threading.Thread):
    """A consumer of committed data that notes when it has each entity."""

    def __init__(self, bootstrap, topic):
        super().__init__(daemon=True)
        self._topic = topic
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": "bench-steady",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
            }
        )
        self._stopped = threading.Event()
        self._received = []

    def run(self):
        deadline = time.monotonic() + PATIENCE
        while self._topic not in self._consumer.list_topics(timeout=30).topics and time.monotonic() < deadline:
            time.sleep(0.1)
        self._consumer.assign([TopicPartition(self._topic, 0, OFFSET_BEGINNING)])
        while not self._stopped.is_set():
            message = self._consumer.poll(0.1)
            if message is None:
                continue
            at = time.monotonic()
            if message.error():
                raise KafkaException(message.error())
            self._received += [(entity["number"], at) for entity in container(message.value())]
        self._consumer.close()

    def wait_for(self, count, seconds):
        deadline = time.monotonic() + seconds
        while len(self._received) < count:
            if time.monotonic() > deadline or not self.is_alive():
                raise RuntimeError(f"the consumer has {len(self._received)} of {count} entities")
            time.sleep(0.05)

    def stop(self):
        """What was received: number and time."""
        self._stopped.set()
        self.join()
        return self._received


def percentile(values, part):
    return values[min(len(values) - 1, int(len(values) * part))]


def tree_seconds(pid):
    """Processor time of a process, its children that live, and those that it has waited for."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return 0.0
    own = sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    return own + sum(tree_seconds(int(child)) for child in children)
