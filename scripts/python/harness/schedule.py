"""Which fault comes when: all of it follows from the seed, the length and the lanes."""

import random
from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """`at` seconds after the beginning, on `lane`, for `seconds` (the meaning is the fault's own)."""

    at: float
    lane: str
    kind: str
    seconds: float
    choice: float

    @property
    def name(self):
        """What it is counted as: all workers are one."""
        return f"{self.lane.rstrip(' 0123456789')}: {self.kind}"

    def __str__(self):
        return f"{self.lane}: {self.kind}, {self.seconds:.1f} s"


# kind: (weight, shortest and longest duration in seconds)
WORKER = {
    "kill": (4, 0.0, 3.0),
    "terminate": (2, 0.0, 3.0),
    "freeze": (3, 1.0, 5.0),
    # Longer than the group's session: it comes back as a zombie.
    "freeze past the session": (2, 8.0, 14.0),
}
EXTRA = {"join, then terminate": (1, 4.0, 15.0), "join, then kill": (1, 4.0, 15.0)}
KAFKA = {"kill": (3, 0.5, 4.0), "freeze": (1, 1.0, 4.0)}
SERVICE = {"kill": (1, 0.5, 5.0)}
PROXY = {
    "latency": (3, 3.0, 10.0),
    "bandwidth": (2, 3.0, 8.0),
    "reset_peer": (3, 1.0, 4.0),
    "timeout": (2, 2.0, 8.0),
    "limit_data": (2, 2.0, 5.0),
    "down": (2, 1.0, 8.0),
}
# lane: (kinds, pauses between its faults in seconds)
LANES = {
    "extra worker": (EXTRA, 10, 30),
    "kafka": (KAFKA, 20, 60),
    "postgres": (SERVICE, 20, 50),
    "minio": (SERVICE, 20, 50),
    "way to postgres": (PROXY, 6, 20),
    "way to minio": (PROXY, 6, 20),
    "retention": ({"while the store is away": (1, 4.0, 10.0)}, 25, 60),
    "batch": ({"oversized": (1, 0.0, 0.0)}, 25, 60),
}
WORKER_PAUSES = (6, 25)

# Those of a torture of producers, of which one at a time publishes a type.
ENTITY_LANES = {
    "worker 1": (
        {
            "kill": (8, 0.0, 1.5),
            "terminate": (1, 0.0, 1.0),
            "freeze": (2, 0.5, 4.0),
        },
        1,
        6,
    ),
    "extra worker": (EXTRA, 2, 12),
    # Its locks go, and it goes on for a moment as if it had them.
    "sessions": ({"end": (1, 0.0, 0.0)}, 5, 25),
    "kafka": ({"kill": (1, 0.0, 2.0)}, 40, 90),
}

# Workers first do some work; at the end nothing new begins.
QUIET_START = 4
QUIET_END = 3


def archive_lanes(workers):
    """Lanes of a torture of the archive."""
    return {f"worker {number}": (WORKER, *WORKER_PAUSES) for number in range(1, workers + 1)} | LANES


def make(seed, seconds, lanes):
    """Faults by lane, each in order. Those of one lane do not overlap; lanes know nothing of each other."""
    return {lane: _lane(seed, lane, seconds, *parts) for lane, parts in lanes.items()}


def _lane(seed, lane, seconds, kinds, shortest, longest):
    rng = random.Random(f"{seed} {lane}")
    names, weights = list(kinds), [weight for weight, _, _ in kinds.values()]
    faults, at = [], QUIET_START + rng.uniform(0, shortest)
    while at < seconds - QUIET_END:
        [kind] = rng.choices(names, weights)
        _, least, most = kinds[kind]
        fault = Fault(at, lane, kind, rng.uniform(least, most), rng.random())
        faults.append(fault)
        at += fault.seconds + rng.uniform(shortest, longest)
    return faults
