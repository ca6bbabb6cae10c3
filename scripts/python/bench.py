"""How fast archiver and producer are, and what they are measured against: see scripts/bench --help."""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg

from harness import catalogues, topics
from harness.archive import Archive, client, read_object
from harness.configuration import secrets, write_configuration
from harness.crew import last_words
from harness.entity_bench import EntityBench
from harness.load import consume_rate, fill
from harness.services import SCRIPTS, Services
from harness.toxiproxy import Toxiproxy
from harness.worker import Worker

MIB = 1 << 20
RECORD_BYTES = 1000
# An envelope around 1,000 bytes.
OBJECT_BYTES = 1600
# Milliseconds that a cloud's store takes longer. archive-put-concurrency is set so low meanwhile that two workers
# stay below what the store itself can do: the ratios are about waiting, not about its disk.
ADDED_MS = 50
SLOW_CONCURRENCY = 16
LARGE_BYTES = 50_000_000
PATIENCE = 1800

FULL = {
    "rounds": 2,
    "records": 60_000,
    "put_objects": 20_000,
    "verified": 20_000,
    "verify_rounds": 6,
    "rebuilt": 200_000,
    "slow_records": 24_000,
    "catalogue_records": 25_000,
    "rows_few": 10_000,
    "rows_many": 2_000_000,
    "topics": 3000,
    "large_records": 4,
    "entities": 500_000,
    "entity_rounds": 3,
    "steady_rows": 3000,
    "poll_ms": 10,
}
QUICK = FULL | {
    "rounds": 1,
    "records": 20_000,
    "put_objects": 4_000,
    "verified": 4_000,
    "verify_rounds": 1,
    "rebuilt": 20_000,
    "slow_records": 4_000,
    "catalogue_records": 5_000,
    "rows_many": 200_000,
    "topics": 300,
    "large_records": 2,
    "entities": 20_000,
    "entity_rounds": 1,
    "steady_rows": 500,
}

# Rows as the archive has them, of another month, in the topics of a busy system. The driver takes %% for %.
ROWS = """
    INSERT INTO messages (topic, "timestamp", uuid, size, key, bucket, crc32, is_client_uuid, public,
        direct_upload, message_crc32, media_type, kafka_partition, kafka_offset, timestamp_type, content_digest)
    SELECT 'filler.' || n %% 50, 1700000000000 + n, u, 1600, 'filler.' || n %% 50 || '/2023/11/14/' || u || '.bson',
        'archive', n, false, false, false, n, 'application/octet-stream', n %% 4, n / 200, 'create',
        sha256(convert_to(u::text, 'UTF8'))
    FROM (SELECT n, gen_random_uuid() AS u FROM generate_series(%s::bigint, %s::bigint) AS n) AS filler
"""


def arguments():
    parser = argparse.ArgumentParser(prog="scripts/bench", description="See scripts/bench --help.")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", action="append", choices=list(PARTS))
    parser.add_argument("--json", type=Path, default=SCRIPTS.parent / "target" / "bench.json")
    parser.add_argument("--program", type=Path, required=True)
    parser.add_argument("--dir", type=Path, required=True)
    return parser.parse_args()


class Bench:
    def __init__(self, options):
        self.options = options
        self.sizes = QUICK if options.quick else FULL
        self.services = Services()
        self.archive = Archive(self.services)
        with open(options.dir / "toxiproxy.log", "ab") as output:
            self.toxiproxy = Toxiproxy(self.services.toxiproxy, output)
        self.slow_endpoint = f"127.0.0.1:{self.toxiproxy.proxy('minio', self.services.s3_endpoint)}"
        self.configuration = write_configuration(options.dir, self.services)
        self.workers = []
        self.runs = 0
        self.measured = {}
        # (what, value, bound, whether it is met)
        self.bounds = []

    # --- what a measurement is made of ---

    def make(self, name, partitions, records, size=RECORD_BYTES):
        """A topic with records in it; its name."""
        topics.make(self.services.kafka, {name: partitions}, {name: {"max.message.bytes": "60000000"}})
        fill(self.services.kafka, {name: partitions}, records, size)
        return name

    def run(self, wanted, group, workers=1, **settings):
        """Archives the topics of that glob to the end; what the workers told, summed up."""
        self.runs += 1
        environment = secrets(self.services) | {"HOP_TOPICS": wanted, "HOP_GROUPNAME": group} | settings
        crew = [
            Worker(
                self.options.program,
                ["run", "--until-eos", "--json", *self.configuration.arguments],
                environment,
                self.options.dir,
                self.options.dir / f"run-{self.runs}-{number}.log",
            )
            for number in range(1, workers + 1)
        ]
        self.workers += crew
        summaries = [self.summary(worker) for worker in crew]
        # They begin at the same moment, and the last to end has seen the end of all.
        seconds = max(summary["seconds"] for summary in summaries)
        archived, duplicates = (sum(summary[name] for summary in summaries) for name in ("archived", "duplicates"))
        return {
            "archived": archived,
            "duplicates": duplicates,
            "seconds": seconds,
            "rate": (archived + duplicates) / seconds,
            "peak_memory_bytes": max(worker.peak_bytes for worker in crew),
        }

    def command(self, name, *options, **settings):
        """Runs a command that reads the archive; its summary and its peak memory."""
        worker = Worker(
            self.options.program,
            [name, *options, "--json", *self.configuration.arguments],
            secrets(self.services) | settings,
            self.options.dir,
            self.options.dir / f"{name}.log",
        )
        self.workers.append(worker)
        return self.summary(worker)["summary"], worker.peak_bytes

    def summary(self, worker):
        code = worker.wait(PATIENCE)
        if code != 0:
            raise RuntimeError(f"a worker ended with {code}: {last_words(worker.log)}; see {worker.log}")
        return json.loads(worker.output().splitlines()[-1])

    def archived(self, wanted, group, records, workers=1, **settings):
        """The same for records that the archive does not have yet: it must have all of them then."""
        told = self.run(wanted, group, workers, **settings)
        if told["archived"] != records:
            raise RuntimeError(f"{told['archived']} of {records} records of {wanted} were archived")
        self.bound(f"peak memory, {wanted}, MiB", told["peak_memory_bytes"] / MIB, most=256)
        return told

    def put_rates(self, endpoint, concurrencies, objects):
        """Objects a second by PUTs at once, with the archiver's own store and nothing else to do."""
        told = self.cargo_bench(
            "store_put",
            TEST_S3_ENDPOINT=f"http://{endpoint}",
            BENCH_CONCURRENCY=",".join(map(str, concurrencies)),
            BENCH_OBJECTS=str(objects),
            BENCH_SIZE=str(OBJECT_BYTES),
        )
        return {result["at_once"]: result["objects_per_second"] for result in told["results"]}

    def cargo_bench(self, name, **variables):
        """What a bench of benches/ tells."""
        command = ["cargo", "bench", "--quiet", "--locked", "--bench", name]
        environment = os.environ | variables
        done = subprocess.run(command, cwd=SCRIPTS.parent, env=environment, stdout=subprocess.PIPE, check=True)
        return json.loads(done.stdout.splitlines()[-1])

    def bound(self, what, value, least=None, most=None):
        met = (least is None or value >= least) and (most is None or value <= most)
        wanted = f"≥ {least}" if least is not None else f"≤ {most}"
        self.bounds.append((what, value, wanted, met))

    def note(self, part, **figures):
        self.measured.setdefault(part, {}).update(figures)
        shown = (f"{name} {value:.2f}" if isinstance(value, float) else f"{name} {value}" for name, value in figures.items())
        print(f"{time.strftime('%H:%M:%S')} {part}: {', '.join(shown)}", file=sys.stderr, flush=True)

    # --- the parts ---

    def measure_store(self):
        """The archiver against the store's own rate and the consumer's, taking turns with them."""
        records, put, archived, peaks = self.sizes["records"], [], [], []
        for turn in range(self.sizes["rounds"]):
            rates = self.put_rates(self.services.s3_endpoint, [16, 64, 128], self.sizes["put_objects"])
            put.append(max(rates.values()))
            topic = self.make(f"speed-{turn}", 4, records)
            told = self.archived(topic, topic, records)
            archived.append(told["rate"])
            peaks.append(told["peak_memory_bytes"])
            self.note("store", **{f"put_rates_{turn}": rates, f"archive_rate_{turn}": told["rate"]})
        again = self.run("speed-0", "speed-again")
        ratio = sum(archived) / sum(put)
        self.note(
            "store",
            put_rate=sum(put) / len(put),
            archive_rate=sum(archived) / len(archived),
            ratio=ratio,
            redelivery_rate=again["rate"],
            pure_consumer_rate=consume_rate(self.services.kafka, "speed-0", records),
            peak_memory_bytes=max(peaks),
        )
        self.bound("archiver against the store's own rate", ratio, least=0.8)

    def measure_verify(self):
        """verify --deep and restore against GETs of the same objects by the same code, taking turns in one process."""
        told = self.cargo_bench(
            "store_get",
            BENCH_OBJECTS=str(self.sizes["verified"]),
            BENCH_SIZE=str(RECORD_BYTES),
            BENCH_ROUNDS=str(self.sizes["verify_rounds"]),
        )
        self.note(
            "verify",
            get_rate=max(told["gets_per_second"].values()),
            verify_rate=told["verified_per_second"],
            ratio=told["ratio"],
            restore_rate=told["restored_per_second"],
            restore_ratio=told["restore_ratio"],
            peak_memory_bytes=told["peak_memory_bytes"],
        )
        self.bound("verify --deep against the store's own rate of GETs", told["ratio"], least=0.8)
        self.bound("restore against the store's own rate of GETs", told["restore_ratio"], least=0.8)
        self.bound("peak memory, verify --deep and restore, MiB", told["peak_memory_bytes"] / MIB, most=256)

    def measure_rebuild(self):
        """The catalogue from the bucket alone, against the one that it replaces."""
        records = self.sizes["rebuilt"]
        for name in ("bench_lost", "bench_rebuilt"):
            catalogues.create(self.services, name)
        bucket = "bench-rebuild"
        client(self.services).make_bucket(bucket)
        topic = self.make("rebuild", 4, records)
        self.archived(topic, topic, records, DB_NAME="bench_lost", STORE_PRIMARY_BUCKET=bucket)
        told, peak = self.command("rebuild-catalogue", DB_NAME="bench_rebuilt", STORE_PRIMARY_BUCKET=bucket)
        different = catalogues.differences(self.services, "bench_lost", "bench_rebuilt")
        self.note(
            "rebuild",
            rows=told["rows_added"],
            seconds=told["seconds"],
            different_rows=different,
            peak_memory_bytes=peak,
        )
        self.bound("rows of the rebuilt catalogue", told["rows_added"], least=records)
        self.bound("rows that differ from the catalogue that was lost", different, most=0)
        self.bound("peak memory, rebuild-catalogue, MiB", peak / MIB, most=256)

    def measure_latency(self):
        """Every answer of the store 50 ms later, as a cloud's is; one worker, and two."""
        records = self.sizes["slow_records"]
        one, two = self.make("slow-one", 12, records), self.make("slow-two", 12, records)
        self.toxiproxy.poison("minio", "latency", {"latency": ADDED_MS, "jitter": 0})
        try:
            alone = self.put_rates(self.slow_endpoint, [1, SLOW_CONCURRENCY], SLOW_CONCURRENCY * 8)
            slow = {
                "STORE_ENDPOINT_URL": f"http://{self.slow_endpoint}",
                "ARCHIVE_PUT_CONCURRENCY": str(SLOW_CONCURRENCY),
            }
            single = self.archived(one, one, records, **slow)
            double = self.archived(two, two, records, workers=2, **slow)
        finally:
            self.toxiproxy.reset()
        allowed = SLOW_CONCURRENCY * alone[1]
        self.note(
            "latency",
            put_ms=1000 / alone[1],
            allowed_rate=allowed,
            put_rate=alone[SLOW_CONCURRENCY],
            archive_rate=single["rate"],
            ratio=single["rate"] / allowed,
            two_workers_rate=double["rate"],
            two_workers_ratio=double["rate"] / single["rate"],
        )
        slowly = f"{ADDED_MS} ms a PUT"
        self.bound(f"{slowly}: a worker against what its concurrency allows", single["rate"] / allowed, least=0.8)
        self.bound(f"{slowly}: two workers against one", double["rate"] / single["rate"], least=1.7)

    def measure_catalogue(self):
        """A catalogue with few rows and one with many, taking turns."""
        records, few, many = (self.sizes[name] for name in ("catalogue_records", "rows_few", "rows_many"))
        databases = {"few": few, "many": many}
        for name, rows in databases.items():
            self.fill_database(f"bench_{name}", rows)
        seconds = dict.fromkeys(databases, 0.0)
        for turn in range(self.sizes["rounds"]):
            # The other one first every second time.
            for name in sorted(databases, reverse=turn % 2 == 1):
                topic = self.make(f"rows-{name}-{turn}", 4, records)
                told = self.archived(topic, topic, records, DB_NAME=f"bench_{name}")
                seconds[name] += told["seconds"]
        ratio = seconds["few"] / seconds["many"]
        total = records * self.sizes["rounds"]
        rates = {f"rate_{rows}_rows": total / seconds[name] for name, rows in databases.items()}
        self.note("catalogue", **rates, ratio=ratio)
        self.bound(f"rate with {many} rows against {few}", ratio, least=0.9)

    def fill_database(self, name, rows):
        with psycopg.connect(self.services.conninfo, password=self.services.pg_password, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        # The program makes its tables.
        self.run("no-such-topic", f"empty-{name}", DB_NAME=name)
        conninfo = self.services.conninfo.replace(f"dbname={self.services.pg_database}", f"dbname={name}")
        with psycopg.connect(conninfo, password=self.services.pg_password, autocommit=True) as connection:
            for first in range(1, rows + 1, 100_000):
                connection.execute(ROWS, (first, min(first + 99_999, rows)))
            connection.execute("VACUUM ANALYZE messages")

    def measure_topics(self):
        """A backlog of very many topics."""
        count = self.sizes["topics"]
        names = {f"many.{number}": 1 for number in range(count)}
        for first in range(0, count, 500):
            topics.make(self.services.kafka, dict(list(names.items())[first : first + 500]))
        fill(self.services.kafka, names, count * 100, RECORD_BYTES)
        told = self.archived("many.*", "many", count * 100)
        self.note("topics", topics=count, archive_rate=told["rate"], peak_memory_bytes=told["peak_memory_bytes"])

    def measure_large(self):
        """Records as large as a broker may be told to take."""
        count = self.sizes["large_records"]
        topic = self.make("large", 1, count, LARGE_BYTES)
        told = self.archived(topic, topic, count)
        for bucket, key in self.archive.query("SELECT bucket, key FROM messages WHERE topic = 'large'"):
            content = read_object(client(self.services), bucket, key)
            if content is None or content.problems or content.size < LARGE_BYTES:
                raise RuntimeError(f"{key}: {content and content.problems}")
        verified, verify_peak = self.command("verify", "--deep", "--topic", "large")
        if verified["messages"] != count:
            raise RuntimeError(f"verify has looked at {verified['messages']} of {count} messages")
        self.note(
            "large",
            record_bytes=LARGE_BYTES,
            archived=count,
            seconds=told["seconds"],
            peak_memory_bytes=told["peak_memory_bytes"],
            verify_peak_memory_bytes=verify_peak,
        )
        self.bound("peak memory, verify --deep, large, MiB", verify_peak / MIB, most=256)

    def measure_entities(self):
        """The producer: rows to Kafka, many at once and a few at a time."""
        EntityBench(self, self.sizes).measure()

    def report(self):
        return {
            "quick": self.options.quick,
            "processors": os.cpu_count(),
            "sizes": self.sizes,
            "measured": self.measured,
            "bounds": [dict(zip(("what", "value", "wanted", "met"), each, strict=True)) for each in self.bounds],
        }

    def close(self):
        for worker in self.workers:
            if worker.poll() is None:
                worker.kill()
        self.toxiproxy.stop()


PARTS = {
    "store": Bench.measure_store,
    "verify": Bench.measure_verify,
    "rebuild": Bench.measure_rebuild,
    "latency": Bench.measure_latency,
    "catalogue": Bench.measure_catalogue,
    "topics": Bench.measure_topics,
    "large": Bench.measure_large,
    "entities": Bench.measure_entities,
}


def table(bench):
    for part, figures in bench.measured.items():
        print(part)
        for name, value in figures.items():
            if name.endswith("_bytes") and "memory" in name:
                name, value = name.removesuffix("_bytes") + ", MiB", value / MIB
            print(f"  {name:<52} {value:>14.2f}" if isinstance(value, float) else f"  {name:<52} {value!s:>14}")
    print("wanted")
    for what, value, wanted, met in bench.bounds:
        print(f"  {what:<66} {value:>9.2f} {wanted:>8} {'met' if met else 'NOT MET'}")


def main():
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    options = arguments()
    bench = Bench(options)
    try:
        for part in options.only or PARTS:
            PARTS[part](bench)
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # noqa: BLE001: one line for whoever started it
        print(f"scripts/bench: {error}", file=sys.stderr)
        return 3
    finally:
        bench.close()
    table(bench)
    options.json.write_text(json.dumps(bench.report(), indent=2) + "\n")
    print(f"written to {options.json}", file=sys.stderr)
    met = all(met for *_, met in bench.bounds)
    return 0 if met or options.quick else 1


if __name__ == "__main__":
    sys.exit(main())
