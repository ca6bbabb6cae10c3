"""Every entity published once and in order, whatever happens: see scripts/torture-entities --help."""

import argparse
import json
import random
import sys
import time
import uuid
from pathlib import Path

from harness import schedule
from harness.applications import Application, Stamps, insert
from harness.configuration import secrets, write_producer_configuration
from harness.crew import Crew, last_words, panics
from harness.faults import Faults
from harness.kernel import Kernel, State, text
from harness.log import Log
from harness.proof import prove
from harness.published import Comparison, Published
from harness.services import Services
from harness.worker import Worker

LARGEST_PEAK = 128 << 20
WINDOW_MS = 1000
# What an application's clock may be ahead or behind. There is one clock here: it is for the moment between the time
# that a transaction says it began and its place in the server's lists.
MARGIN_MS = 100
LATE_ROWS = 60
LATE_SECONDS = 3600
PATIENCE = 300

# So that looking back goes on meanwhile, which must find nothing, and much is under way when a producer is killed.
PRODUCE = """\
produce-poll-interval-ms = 10
produce-types-interval-seconds = 5
produce-look-back-interval-seconds = 10
"""


def arguments():
    parser = argparse.ArgumentParser(prog="scripts/torture-entities", description="See scripts/torture-entities --help.")
    parser.add_argument("--minutes", type=float, default=3)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--writers", type=int, choices=range(1, 33), default=8)
    parser.add_argument("--program", type=Path, required=True)
    parser.add_argument("--dir", type=Path, required=True)
    return parser.parse_args()


class EntityTorture:
    def __init__(self, options, seed):
        self.options = options
        self.seed = seed
        self.seconds = options.minutes * 60
        self.dir = options.dir
        self.log = Log(self.dir / "torture.log")
        self.services = Services()
        self.kernel = Kernel(self.services, "kernel")
        self.kinds = self.register()
        self.configuration = write_producer_configuration(
            self.dir / "housekeeping.toml",
            self.services,
            kernel=self.kernel.name,
            positions=self.services.pg_database,
            window_ms=WINDOW_MS,
            margin_ms=MARGIN_MS,
            produce=PRODUCE,
        )
        self.crew = Crew(self.start_producer, self.log, begun="publishing entities")
        self.commands = 0
        self.report = {"seed": seed, "minutes": options.minutes}

    def register(self):
        """Two realms share a schema, one of them in two projects; one type is alone; one has no entity."""
        shared = uuid.uuid4()
        kinds = [
            self.kernel.register("north", "Person", shared),
            self.kernel.register("south", "Person", shared, uses=2),
            self.kernel.register("south", "Visit"),
        ]
        self.kernel.register("empty", "Visit")
        return kinds

    def run(self):
        """The whole story; the report."""
        applications = self.rage()
        self.say("everything works again; publishing what is left")
        # What was committed last is above the bound for so long.
        time.sleep((WINDOW_MS + MARGIN_MS) / 1000 + 0.1)
        self.report["published_at_the_end"] = self.command("produce", "published")
        self.report["late_without_cause"] = self.command("reconcile", "late")
        committed = {state for application in applications for state in application.committed}
        self.compare(committed)
        self.late(committed)
        aborted = Published(self.services.kafka, self.kinds, "read_uncommitted")
        self.report |= {
            "twice_to_a_reader_of_uncommitted_data": len(aborted.twice()),
            "peak_memory_bytes": max(self.crew.peaks.values()),
            "misdeeds": self.crew.misdeeds,
            "panics": panics(self.dir),
        }
        return self.report

    def rage(self):
        plan = schedule.make(self.seed, self.seconds, schedule.ENTITY_LANES)
        faults = Faults(plan, self.crew, self.services, self.log, end_sessions=self.end_sessions)
        stamps = Stamps()
        applications = [
            Application(f"application {n}", self.kernel, self.kinds, self.seed, WINDOW_MS, stamps, slow=n % 4 == 0)
            for n in range(self.options.writers)
        ]
        self.crew.start("worker 1")
        self.say(f"torturing for {self.seconds:.0f} s; each fault: {self.log.path}")
        end = time.monotonic() + self.seconds
        for part in (*applications, faults):
            part.start()
        while time.monotonic() < end:
            time.sleep(min(1, max(0, end - time.monotonic())))
        self.say("mending what is broken, and waiting for the applications")
        faults.stop()
        for application in applications:
            application.stop()
        for slot in self.crew.slots():
            self.crew.terminate(slot)
        for application in applications:
            if application.error:
                raise application.error
        self.report |= {
            "faults": dict(sorted(faults.done.items())),
            "faults_that_could_not_be_done": faults.errors,
            "kills": self.crew.kills,
            "producers_started": self.crew.started,
            "transactions": {
                kind: sum(application.counts[kind] for application in applications) for kind in applications[0].counts
            },
        }
        return applications

    def end_sessions(self):
        """Those of all producers, so that somebody else may take over from one that does not know yet."""
        with self.kernel.connect() as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND application_name LIKE 'archive_ingest%'"
            )

    def start_producer(self, slot):
        return self.start(f"{slot.replace(' ', '-')}-{self.crew.started + 1}", "run", "--only", "producer")

    def start(self, name, *command):
        return Worker(
            self.options.program,
            [*command, *self.configuration.arguments],
            secrets(self.services),
            self.dir,
            self.dir / f"{name}.log",
        )

    def command(self, command, counted):
        """One pass of it over all types, which must succeed; the sum of what it counted."""
        self.commands += 1
        worker = self.start(f"{command}-{self.commands}", command, "--json")
        code = worker.wait(PATIENCE)
        if code != 0:
            worker.kill()
            raise RuntimeError(f"{command} ended with {code}: {last_words(worker.log)}")
        self.crew.peaks[command] = max(self.crew.peaks.get(command, 0), worker.peak_bytes)
        return sum(json.loads(line)[counted] for line in worker.output().splitlines())

    def late(self, committed):
        """Entities that break the condition: found by the reconciliation, and by it alone; sent once."""
        self.say(f"{LATE_ROWS} entities are stamped an hour back")
        rng = random.Random(f"{self.seed} late")
        now = int(time.time() * 1_000_000) - LATE_SECONDS * 1_000_000
        late = set()
        with self.kernel.connect() as connection:
            for _ in range(LATE_ROWS):
                kind = rng.choice(self.kinds)
                entity_id = uuid.uuid4()
                modified = text(now + rng.randrange(60_000_000), entity_id)
                state = State(kind.topic, entity_id, modified, next(Application.numbers))
                insert(connection, state, kind.uses[0])
                late.add(state)
        self.report |= {
            "late_found_by_produce": self.command("produce", "published"),
            "late_found_by_reconcile": self.command("reconcile", "late"),
            "late_found_once_more": self.command("reconcile", "late"),
        }
        self.compare(committed | late, late, "_with_late_ones")

    def compare(self, committed, late=frozenset(), suffix=""):
        published = Published(self.services.kafka, self.kinds)
        stored = self.kernel.states()
        self.say(f"comparing {published.count()} entities on Kafka with {len(stored)} in the kernel")
        comparison = Comparison(published, stored, committed, late)
        for line in comparison.lines():
            self.log(f"FOUND {line}")
        self.report |= comparison.counts(suffix)
        self.report |= {
            f"entities{suffix}": len(stored),
            f"published{suffix}": published.count(),
            f"messages{suffix}": published.messages,
            f"largest_topic{suffix}": max(map(len, published.states.values())),
        }

    def say(self, what):
        self.log(what)
        print(f"{time.strftime('%H:%M:%S')} {what}", file=sys.stderr, flush=True)

    def close(self):
        self.crew.kill_all()
        self.log.close()


COMPARED = ["lost", "twice", "invented", "different", "out_of_order"]
# Each must be nothing.
FATAL = [
    *COMPARED,
    *(f"{name}_with_late_ones" for name in COMPARED),
    "late_without_cause",
    "late_found_by_produce",
    "late_found_once_more",
    "faults_that_could_not_be_done",
    "misdeeds",
    "panics",
]


def verdict(report):
    """What is wrong, as lines."""
    wrong = [f"{name}: {report[name]}" for name in FATAL if report[name]]
    if report["peak_memory_bytes"] > LARGEST_PEAK:
        wrong.append(f"peak_memory_bytes: {report['peak_memory_bytes']}, more than {LARGEST_PEAK}")
    if report["late_found_by_reconcile"] != LATE_ROWS:
        wrong.append(f"late_found_by_reconcile: {report['late_found_by_reconcile']} of {LATE_ROWS}")
    if not report["entities"] or not report["kills"]:
        wrong.append("no entity was compared, or no producer killed")
    return wrong


if __name__ == "__main__":
    sys.exit(prove("scripts/torture-entities", arguments(), EntityTorture, verdict))
