"""A log file of what is done, with the seconds since it was begun."""

import threading
import time


class Log:
    def __init__(self, path):
        self.path = path
        self._file = open(path, "a", buffering=1, encoding="utf-8")  # noqa: SIM115: closed by close()
        self._began = time.monotonic()
        self._lock = threading.Lock()

    def __call__(self, line):
        with self._lock:
            self._file.write(f"{time.strftime('%H:%M:%S')} {time.monotonic() - self._began:8.2f} {line}\n")

    def close(self):
        self._file.close()
