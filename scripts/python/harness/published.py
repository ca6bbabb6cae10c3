"""What is on the topics of entities, as fastavro reads it, against what was stored."""

import io
import json
import uuid
from collections import Counter

import fastavro

from harness.kernel import State, decoded
from harness.stream import read_messages

SHOWN = 20


def container(value):
    """Its entities as an iterator; `metadata` has the schema's text."""
    return fastavro.reader(io.BytesIO(value))


class Published:
    """All entities of some topics as a reader of committed data finds them."""

    def __init__(self, bootstrap, kinds, isolation="read_committed"):
        self._kinds = {kind.topic: kind for kind in kinds}
        # Of each topic in the order of the log.
        self.states = {topic: [] for topic in self._kinds}
        self.messages = 0
        # What is wrong with a message by itself.
        self.different = []
        for message in read_messages(bootstrap, self._kinds.__contains__, isolation):
            self.messages += 1
            self._read(message)

    def count(self):
        return sum(map(len, self.states.values()))

    def twice(self):
        """Entities that are there more than once, with how often beyond that."""
        counted = Counter(state for states in self.states.values() for state in states)
        return [f"{state} {count} times" for state, count in counted.items() if count > 1]

    def _read(self, message):
        place = f"{message.topic()} [{message.partition()}] offset {message.offset()}"
        if message.key() is not None or not message.value():
            self.different.append(f"{place}: a key, or no value")
            return
        reader = container(message.value())
        if json.loads(reader.metadata["avro.schema"]) != self._kinds[message.topic()].definition:
            self.different.append(f"{place}: the schema is not as registered")
        entities = list(reader)
        if not 1 <= len(entities) <= 250:
            self.different.append(f"{place}: {len(entities)} entities")
        for entity in entities:
            state = State(message.topic(), uuid.UUID(entity["id"]), entity["stamp"], entity["number"])
            self.states[message.topic()].append(state)
            if entity != decoded(state):
                self.different.append(f"{place}: {entity} is not {decoded(state)}")


class Comparison:
    """Against the states that the kernel has at last, and all that it ever had."""

    def __init__(self, published, stored, committed, late=frozenset()):
        """`late` may come out of order."""
        found = {state for states in published.states.values() for state in states}
        self._findings = {
            "lost": [str(state) for state in stored - found],
            "twice": published.twice(),
            "invented": [str(state) for state in found - committed],
            "different": published.different,
            "out_of_order": [
                f"{after} follows {before}"
                for states in published.states.values()
                for before, after in _neighbours([state for state in states if state not in late])
                if after.modified <= before.modified
            ],
        }

    def counts(self, suffix=""):
        return {name + suffix: len(found) for name, found in self._findings.items()}

    def lines(self):
        for name, found in self._findings.items():
            for line in found[:SHOWN]:
                yield f"{name}: {line}"
            if len(found) > SHOWN:
                yield f"{name}: and {len(found) - SHOWN} more"


def _neighbours(states):
    return zip(states, states[1:])
