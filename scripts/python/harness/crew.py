"""The workers of a torture: one group of `archive_ingest run` processes, and what became of each."""

import signal
import threading

from harness.worker import Worker

# archive-shutdown-seconds of the torture's configuration, the program's own grace after it, and some for a
# machine that is busy.
LONGEST_EXIT = 10 + 10 + 5


class Crew:
    """Keeps a worker in each slot. Each slot belongs to one thread of faults at a time."""

    def __init__(self, start, log, begun):
        """`start(slot)` gives a new Worker; `begun` is what one says in its log once it has reached its services."""
        self._start = start
        self._log = log
        self._begun = begun
        self._lock = threading.Lock()
        self._workers = {}
        # The largest of each slot's workers.
        self.peaks = {}
        self.started = 0
        self.kills = 0
        # Lines that say which worker ended how it must not.
        self.misdeeds = []
        self._closed = False

    def start(self, slot):
        worker = self._start(slot)
        with self._lock:
            if not self._closed:
                self._workers[slot] = worker
                self.started += 1
                return worker
        # A thread of faults goes on for a moment after an interrupt: what it starts then must not outlive us.
        worker.kill()
        raise RuntimeError(f"{slot}: the crew is closed")

    def worker(self, slot):
        """The worker of the slot, replaced when it has ended although nobody asked it to."""
        worker = self._workers[slot]
        if worker.poll() is not None:
            self._misdeed(worker, f"ended by itself with {worker.poll()}")
            self.retire(slot)
            self.start(slot)
        return self._workers[slot]

    def kill(self, slot):
        worker = self.worker(slot)
        worker.kill()
        self.kills += 1
        self.retire(slot)

    def terminate(self, slot):
        """SIGTERM; it must end in time, with 0, or 3 where something in flight could not be finished. Before it
        has reached its services there is nothing to finish, and the signal itself may end it."""
        worker = self.worker(slot)
        worker.terminate()
        code = worker.wait(LONGEST_EXIT)
        self._log(f"{slot} ended with {code} after SIGTERM")
        if code is None:
            self._misdeed(worker, f"runs on {LONGEST_EXIT} s after SIGTERM")
            worker.kill()
        elif code not in (0, 3) and not (code == -signal.SIGTERM and not self._has_begun(worker)):
            self._misdeed(worker, f"ended with {code} after SIGTERM")
        self.retire(slot)
        return code

    def retire(self, slot):
        with self._lock:
            worker = self._workers.pop(slot)
        self.peaks[slot] = max(self.peaks.get(slot, 0), worker.peak_bytes)

    def slots(self):
        with self._lock:
            return list(self._workers)

    def kill_all(self):
        """Without a look at how they do: for the end, whatever it is. None can be started after it."""
        with self._lock:
            self._closed = True
            workers, self._workers = list(self._workers.values()), {}
        for worker in workers:
            worker.kill()

    def _has_begun(self, worker):
        return self._begun in worker.log.read_text(errors="replace")

    def _misdeed(self, worker, what):
        line = f"{worker.log.name}, pid {worker.pid}: {what}; its last words: {last_words(worker.log)}"
        self._log(f"MISDEED {line}")
        with self._lock:
            self.misdeeds.append(line)


def panics(directory):
    """Lines of the workers' logs that must not be there."""
    return [
        f"{path.name}: {line}"
        for path in sorted(directory.glob("*.log"))
        for line in path.read_text(errors="replace").splitlines()
        if "panicked at" in line
    ]


def last_words(path):
    lines = path.read_text(errors="replace").splitlines()
    return lines[-1] if lines else "none"
