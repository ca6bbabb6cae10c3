"""Applications that write entities, in every way that the kernel's condition allows.

The condition: an entity is stamped at most the window before its transaction begins. When that was is asked of the
database, so that a machine that is busy breaks nothing.
"""

import itertools
import json
import random
import threading
import time
import uuid
from collections import deque

from harness.kernel import INSERT, MAPPING, UPDATE, State, payload, text

MICROS = 1_000_000
BEGAN = "SELECT (extract(epoch FROM now()) * 1000000)::bigint"
REMEMBERED = 200


class Stamps:
    """Times that were given to entities lately, for more of the same."""

    def __init__(self):
        self._recent = deque(maxlen=REMEMBERED)

    def choose(self, rng, began, window):
        """A time within the condition, of a transaction that began then."""
        earliest = began - window
        stamp = self._one(rng, began, window)
        if stamp < earliest:
            stamp = earliest
        self._recent.append(stamp)
        return stamp

    def _one(self, rng, began, window):
        kind = rng.random()
        if kind < 0.25 and self._recent:
            return rng.choice(self._recent)
        if kind < 0.30:
            return began // MICROS * MICROS
        if kind < 0.45:
            return began - window
        if kind < 0.60:
            return int(time.time() * MICROS)
        return began - rng.randrange(window)


class Application(threading.Thread):
    """Writes until it is stopped. A slow one has transactions of seconds, prepared ones, and large ones."""

    numbers = itertools.count()

    def __init__(self, name, kernel, kinds, seed, window_ms, stamps, slow):
        super().__init__(name=name, daemon=True)
        self._kernel = kernel
        self._kinds = kinds
        self._rng = random.Random(f"{seed} {name}")
        self._window = window_ms * 1000
        self._stamps = stamps
        self._slow = slow
        self._stopped = threading.Event()
        self._own = []
        # Every state that was ever to be seen.
        self.committed = []
        self.counts = dict.fromkeys(["quick", "long", "prepared", "bulk", "undone", "updates"], 0)
        self.error = None

    def stop(self):
        """Returns when nothing of it is open."""
        self._stopped.set()
        self.join()

    def run(self):
        try:
            with self._kernel.connect() as connection:
                while not self._stopped.wait(self._rng.uniform(0.5, 5) if self._slow else self._rng.uniform(0, 0.08)):
                    self._transaction(connection)
        except Exception as error:  # noqa: BLE001: told where the thread is waited for
            self.error = error

    def _transaction(self, connection):
        kind = self._rng.choice(["long", "prepared", "bulk"]) if self._slow else "quick"
        connection.execute("BEGIN")
        [[began]] = connection.execute(BEGAN)
        written = []
        for _ in range(self._rng.randint(1, 8)):
            written += self._bulk(connection, began) if kind == "bulk" else self._write(connection, began)
            if kind == "long":
                time.sleep(self._rng.uniform(0, 1))
        if kind != "prepared":
            time.sleep(self._rng.choice([0, 0, self._rng.uniform(0, 0.3)]))
        undone = self._rng.random() < 0.1
        if kind == "prepared":
            self._prepared(connection, undone)
        else:
            connection.execute("ROLLBACK" if undone else "COMMIT")
        self.counts["undone" if undone else kind] += 1
        if not undone:
            self._remember(written)

    def _prepared(self, connection, undone):
        name = str(uuid.uuid4())
        connection.execute(f"PREPARE TRANSACTION '{name}'")
        time.sleep(self._rng.uniform(0, 6))
        connection.execute(f"{'ROLLBACK' if undone else 'COMMIT'} PREPARED '{name}'")

    def _write(self, connection, began):
        """A new entity, or another state of one; what was there before is seen by nobody any more."""
        stamp = self._stamps.choose(self._rng, began, self._window)
        if self._own and self._rng.random() < 0.15:
            kind, entity_id = self._rng.choice(self._own)
            state = State(kind.topic, entity_id, text(stamp, entity_id), next(self.numbers))
            connection.execute(UPDATE, (json.dumps(payload(state)), state.modified, entity_id))
            self.counts["updates"] += 1
        else:
            kind = self._rng.choice(self._kinds)
            state = self._new(kind, stamp)
            insert(connection, state, self._rng.choice(kind.uses))
        return [(kind, state)]

    def _bulk(self, connection, began):
        """Some hundred new ones of a type at once, of few times."""
        kind = self._rng.choice(self._kinds)
        stamps = [self._stamps.choose(self._rng, began, self._window) for _ in range(self._rng.randint(1, 20))]
        states = [self._new(kind, self._rng.choice(stamps)) for _ in range(self._rng.randint(100, 600))]
        connection.cursor().executemany(INSERT, [row(state, self._rng.choice(kind.uses)) for state in states])
        return [(kind, state) for state in states]

    def _new(self, kind, stamp):
        entity_id = uuid.UUID(int=self._rng.getrandbits(128), version=4)
        return State(kind.topic, entity_id, text(stamp, entity_id), next(self.numbers))

    def _remember(self, written):
        """Of one that was changed twice in a transaction only the last state is ever to be seen."""
        last = {state.id: (kind, state) for kind, state in written}
        self.committed += [state for _, state in last.values()]
        # Others' rows are not touched: nobody waits for a lock.
        self._own = (self._own + [(kind, entity_id) for entity_id, (kind, _) in last.items()])[-REMEMBERED:]


def insert(connection, state, use):
    connection.execute(INSERT, row(state, use))


def row(state, use):
    return (state.id, json.dumps(payload(state)), state.modified, MAPPING, use.decorator, use.project)
