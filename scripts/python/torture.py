"""Nothing missing, nothing twice, nothing different: see scripts/torture --help."""

import argparse
import json
import os
import sys
import time
from pathlib import Path

from harness import schedule, topics
from harness.archive import Archive, client, read_object
from harness.cluster import Cluster
from harness.comparison import Comparison
from harness.configuration import secrets, write_configuration
from harness.crew import Crew, last_words, panics
from harness.faults import Faults
from harness.log import Log
from harness.losses import Losses
from harness.proof import prove
from harness.services import Services
from harness.stream import read_stream
from harness.toxiproxy import Toxiproxy
from harness.traffic import Traffic
from harness.transactions import Transactions
from harness.worker import Worker

LARGEST_PEAK = 256 << 20
# When the late topic comes, as a part of the whole time.
LATE_AT = 0.4
# Everything that is left to archive at the end may take this long, and as long as the torture itself.
CATCH_UP_SECONDS = 300


def arguments():
    parser = argparse.ArgumentParser(prog="scripts/torture", description="See scripts/torture --help.")
    parser.add_argument("--minutes", type=float, default=3)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--workers", type=int, choices=range(1, 9), default=2)
    parser.add_argument("--rate", type=int, default=200)
    parser.add_argument("--without-cluster", action="store_true")
    parser.add_argument("--program", type=Path, required=True)
    parser.add_argument("--dir", type=Path, required=True)
    return parser.parse_args()


class Torture:
    def __init__(self, options, seed):
        self.options = options
        self.seed = seed
        self.seconds = options.minutes * 60
        self.dir = options.dir
        self.log = Log(self.dir / "torture.log")
        self.services = Services()
        self.archive = Archive(self.services)
        with open(self.dir / "toxiproxy.log", "ab") as output:
            self.toxiproxy = Toxiproxy(self.services.toxiproxy, output)
        self.configuration = write_configuration(
            self.dir,
            self.services,
            pg_port=self.toxiproxy.proxy("postgres", f"127.0.0.1:{self.services.pg_port}"),
            s3_endpoint=f"127.0.0.1:{self.toxiproxy.proxy('minio', self.services.s3_endpoint)}",
            vetoed=[topics.VETOED],
        )
        self.crew = Crew(self.start_worker, self.log, begun=" archiving ")
        self.report = {"seed": seed, "minutes": options.minutes, "workers": options.workers, "cluster_failed": []}

    def run(self):
        """The whole story; the report."""
        topics.create(self.services.kafka, [topic for topic in topics.PARTITIONS if topic != topics.LATE])
        traffic = Traffic(self.services.kafka, self.seed, self.options.rate, self.log)
        transactions = Transactions(self.services.kafka, self.seed, self.log)
        losses = Losses(self.services.kafka, self.seed, self.log)
        losses.begin_transaction()
        self.rage(traffic, transactions, losses)
        losses.end_transaction()
        # What is due is the archive's own knowledge: without the group's offsets nothing is lost or twice.
        losses.delete_group("torture")
        self.say("everything works again; archiving what is left")
        self.catch_up("torture")
        # A group whose offsets are set back sees all of it a second time.
        self.say("reading everything a second time")
        self.report["archived_the_second_time"] = self.catch_up("torture-again")["archived"]
        self.compare(traffic.compacted | losses.short_lived, losses)
        if not self.options.without_cluster:
            self.break_cluster()
        return self.report

    def rage(self, traffic, transactions, losses):
        plan = schedule.make(self.seed, self.seconds, schedule.archive_lanes(self.options.workers))
        faults = Faults(plan, self.crew, self.services, self.log, self.toxiproxy, losses=losses)
        for number in range(1, self.options.workers + 1):
            self.crew.start(f"worker {number}")
        began = time.monotonic()
        for part in (traffic, transactions, faults):
            part.start()
        self.say(f"torturing for {self.seconds:.0f} s; each fault: {self.log.path}")
        self.wait_until(began + LATE_AT * self.seconds)
        topics.create(self.services.kafka, [topics.LATE])
        traffic.add_topic(topics.LATE)
        self.wait_until(began + self.seconds)
        self.say("mending what is broken, and waiting for the producers")
        faults.stop()
        self.toxiproxy.reset()
        traffic.stop()
        transactions.stop()
        self.say("stopping the workers")
        for slot in self.crew.slots():
            self.crew.terminate(slot)
        if traffic.error:
            raise traffic.error
        self.report |= {
            "faults": dict(sorted(faults.done.items())),
            "faults_that_could_not_be_done": faults.errors,
            "kills": self.crew.kills,
            "workers_started": self.crew.started,
            "sent": traffic.counts,
            "acknowledged": traffic.acknowledged,
            "not_acknowledged": traffic.failed,
            "transactions": {
                "committed": transactions.committed,
                "aborted": transactions.aborted,
                "broken": transactions.broken,
            },
        }

    def wait_until(self, moment):
        while time.monotonic() < moment:
            time.sleep(min(1, max(0, moment - time.monotonic())))

    def catch_up(self, group):
        """`run --until-eos`; its own summary."""
        self.group = group
        self.final = ["--until-eos"]
        slot = f"final {group}"
        worker = self.crew.start(slot)
        began = time.monotonic()
        code = worker.wait(CATCH_UP_SECONDS + self.seconds)
        self.report[f"seconds_to_the_end_of_group_{group}"] = round(time.monotonic() - began, 1)
        if code != 0:
            worker.kill()
            what = "did not reach the end" if code is None else f"ended with {code}"
            raise RuntimeError(f"run --until-eos {what}: {last_words(worker.log)}")
        self.crew.retire(slot)
        return json.loads(worker.output().splitlines()[-1])

    group = "torture"
    final = ()
    cluster = None

    def break_cluster(self):
        """What it finds counts as everything else does."""
        self.say("breaking a Kafka cluster of its own")
        began = time.monotonic()
        self.services.make_database("torture_cluster")
        services = Services({**os.environ, "TEST_PG_DB": "torture_cluster"})
        cluster = Cluster(
            self.options.program, self.dir / "cluster", services, self.seed, self.log, self.crew, secrets(services)
        )
        self.cluster = cluster
        try:
            cluster.run()
        except Exception as error:  # noqa: BLE001: the rest of the report still counts
            self.log(f"FOUND in the cluster: {error!r}")
            self.report["cluster_failed"].append(f"{error}")
        finally:
            cluster.close()
        for line in cluster.findings.lines():
            self.log(f"FOUND in the cluster: {line}")
        for kind, count in cluster.findings.counts().items():
            self.report[kind] += count
        self.report["archived_the_second_time"] += cluster.archived_the_second_time
        self.report["cluster"] = cluster.done | {"seconds": round(time.monotonic() - began, 1)}
        self.report |= {"misdeeds": self.crew.misdeeds, "panics": panics(self.dir)}

    def start_worker(self, slot):
        arguments = [*self.final, *self.configuration.arguments]
        if slot == "cluster":
            arguments = self.cluster.arguments()
        return Worker(
            self.options.program,
            ["run", "--json", *arguments],
            secrets(self.services) | {"HOP_GROUPNAME": self.group},
            self.dir,
            self.dir / f"{slot.replace(' ', '-')}-{self.crew.started + 1}.log",
        )

    def compare(self, compacted, losses):
        self.say("reading the stream")
        records = list(read_stream(self.services.kafka, topics.is_archived))
        rows, retries = self.archive.rows(), self.archive.retries()
        self.say(f"comparing {len(records)} records with {len(rows)} rows, {len(retries)} retries and all objects")
        comparison = Comparison(records, rows, retries, compacted, self.archive.gaps(), losses.acknowledged)
        comparison.compare_catalogue()
        contents = self.archive.contents([(row.bucket, row.key) for row in rows])
        for row, content in zip(rows, contents, strict=True):
            comparison.compare_object(row, content)
        store = client(self.services)
        comparison.compare_keys(self.archive.keys(), lambda key: read_object(store, self.services.bucket, key))
        comparison.findings.wrong_counts += self.archive.wrong_counts()
        for line in comparison.findings.lines():
            self.log(f"FOUND {line}")
        self.report |= {
            "records": len(records),
            "bytes": sum(record.size for record in records),
            "rows": len(rows),
            "retries": len(retries),
            "retentions": losses.removed,
            "oversized_batches": losses.oversized,
            "gaps": len(comparison.gaps),
            "records_lost_and_recorded": comparison.lost_and_recorded,
            "rows_that_compaction_took_from_kafka": comparison.compacted_away,
            "objects_that_compaction_took_the_record_of": comparison.compacted_orphans,
            "claims_left": self.archive.open_claims(),
            "peak_memory_bytes": max(self.crew.peaks.values()),
            "peak_memory_bytes_of": self.crew.peaks,
            "misdeeds": self.crew.misdeeds,
            "panics": panics(self.dir),
        } | comparison.findings.counts()

    def say(self, what):
        self.log(what)
        print(f"{time.strftime('%H:%M:%S')} {what}", file=sys.stderr, flush=True)

    def close(self):
        self.crew.kill_all()
        if self.cluster:
            self.cluster.close()
        self.toxiproxy.stop()
        self.log.close()


# Each must be nothing.
FATAL = [
    "missing",
    "twice",
    "different",
    "false_gaps",
    "not_in_stream",
    "without_object",
    "orphans",
    "wrong_counts",
    "archived_the_second_time",
    "faults_that_could_not_be_done",
    "misdeeds",
    "panics",
    "cluster_failed",
]


def verdict(report):
    """What is wrong, as lines."""
    wrong = [f"{name}: {report[name]}" for name in FATAL if report[name]]
    if report["peak_memory_bytes"] > LARGEST_PEAK:
        wrong.append(f"peak_memory_bytes: {report['peak_memory_bytes']}, more than {LARGEST_PEAK}")
    if not report["records"] or not report["transactions"]["committed"]:
        wrong.append("no record, or none of a transaction, was compared")
    return wrong


if __name__ == "__main__":
    sys.exit(prove("scripts/torture", arguments(), Torture, verdict))
