"""Doing the faults of a schedule, each lane in a thread of its own, and undoing them."""

import threading
import time
from collections import Counter

PROXIES = {"way to postgres": "postgres", "way to minio": "minio"}


class Faults:
    def __init__(self, schedule, crew, services, log, toxiproxy=None, end_sessions=None, losses=None):
        """Lanes that go by a proxy need `toxiproxy`; lane "sessions" calls `end_sessions()`; "retention"
        and "batch" need `losses`."""
        self._crew = crew
        self._services = services
        self._toxiproxy = toxiproxy
        self._end_sessions = end_sessions
        self._losses = losses
        self._log = log
        self._stopped = threading.Event()
        self._began = None
        self._threads = [
            threading.Thread(target=self._run, args=(faults,), name=lane, daemon=True)
            for lane, faults in schedule.items()
        ]
        self._lock = threading.Lock()
        self.done = Counter()
        # What kept a fault from being done: not the program's doing, and still no proof of anything.
        self.errors = []

    def start(self):
        self._began = time.monotonic()
        for thread in self._threads:
            thread.start()

    def stop(self):
        """Begins no more; returns when those under way are undone."""
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def _run(self, faults):
        for fault in faults:
            if self._stopped.wait(self._began + fault.at - time.monotonic()):
                return
            self._log(f"fault {fault}")
            try:
                self._do(fault)
            except Exception as error:  # noqa: BLE001: told at the end; the other lanes go on
                self._log(f"fault {fault}: FAILED: {error!r}")
                with self._lock:
                    self.errors.append(f"{fault}: {error!r}")
                return
            with self._lock:
                self.done[fault.name] += 1

    def _do(self, fault):
        if fault.lane.startswith("worker"):
            self._worker(fault)
        elif fault.lane == "extra worker":
            self._extra(fault)
        elif fault.lane in PROXIES:
            self._proxy(PROXIES[fault.lane], fault)
        elif fault.lane == "retention":
            self._toxiproxy.enable("minio", False)
            try:
                self._losses.retention(lambda: self._pause(fault))
            finally:
                self._toxiproxy.enable("minio", True)
        elif fault.lane == "batch":
            self._losses.send_oversized()
        elif fault.lane == "sessions":
            self._end_sessions()
        elif fault.kind == "kill":
            self._services.kill(fault.lane)
            self._pause(fault)
            self._services.start(fault.lane)
        else:
            self._services.freeze(fault.lane)
            self._pause(fault)
            self._services.thaw(fault.lane)

    def _pause(self, fault):
        """Shorter when the torture is over: what is broken is mended at once."""
        self._stopped.wait(fault.seconds)

    def _worker(self, fault):
        slot = fault.lane
        if fault.kind.startswith("freeze"):
            worker = self._crew.worker(slot)
            worker.freeze()
            self._pause(fault)
            worker.thaw()
            return
        if fault.kind == "kill":
            self._crew.kill(slot)
        else:
            self._crew.terminate(slot)
        self._pause(fault)
        self._crew.start(slot)

    def _extra(self, fault):
        self._crew.start(fault.lane)
        self._pause(fault)
        if fault.kind.endswith("kill"):
            self._crew.kill(fault.lane)
        else:
            self._crew.terminate(fault.lane)

    def _proxy(self, name, fault):
        if fault.kind == "down":
            self._toxiproxy.enable(name, False)
            self._pause(fault)
            self._toxiproxy.enable(name, True)
            return
        self._toxiproxy.poison(name, fault.kind, toxic(fault))
        self._pause(fault)
        self._toxiproxy.cure(name, fault.kind)


def toxic(fault):
    """The attributes of toxiproxy's toxic of that kind, milder or harder by the fault's own draw."""
    within = lambda least, most: int(least + fault.choice * (most - least))  # noqa: E731
    return {
        "latency": {"latency": within(20, 1500), "jitter": within(5, 500)},
        # kB a second
        "bandwidth": {"rate": within(20, 500)},
        # Milliseconds until the connection is reset, or, given none, until it is closed unanswered.
        "reset_peer": {"timeout": within(0, 300)},
        "timeout": {"timeout": 0},
        # Bytes that an answer may have: it breaks off in the middle.
        "limit_data": {"bytes": within(1, 5000)},
    }[fault.kind]
