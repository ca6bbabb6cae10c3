"""A log file of what is done, with the seconds since it was begun; and the report at the end."""

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


def table(report):
    """A report on stdout; of a list its length."""
    for name, value in report.items():
        if isinstance(value, dict):
            print(name)
            for part, number in value.items():
                print(f"  {part:<42} {number:>12}")
        else:
            shown = len(value) if isinstance(value, list) else value
            print(f"{name:<44} {shown:>12}")
