"""One `archive_ingest` process: started, watched, signalled by its own pid."""

import os
import signal
import subprocess
import threading
from pathlib import Path

SAMPLE_SECONDS = 0.25


class Worker:
    """Runs `arguments` with stderr in `log`. Its peak memory is sampled while it lives."""

    def __init__(self, program, arguments, environment, directory, log):
        self.log = Path(log)
        # Closed by the process's end: the child has its own descriptors.
        with open(log, "ab") as errors, open(self.log.with_suffix(".out"), "ab") as output:
            self._process = subprocess.Popen(
                [str(program), *arguments],
                cwd=directory,
                env={**os.environ, **environment},
                stdout=output,
                stderr=errors,
                start_new_session=True,
            )
        self.pid = self._process.pid
        self.peak_bytes = 0
        self._ended = threading.Event()
        self._sampler = threading.Thread(target=self._sample, daemon=True)
        self._sampler.start()

    def poll(self):
        """The exit code, negative for a signal; None while it runs."""
        return self._process.poll()

    def wait(self, seconds=None):
        """The exit code; None when it still runs after that time."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def signal(self, number):
        # Popen knows whether the process was waited for: the pid is never somebody else's.
        self._process.send_signal(number)

    def freeze(self):
        self.signal(signal.SIGSTOP)

    def thaw(self):
        self.signal(signal.SIGCONT)

    def terminate(self):
        self.signal(signal.SIGTERM)

    def kill(self):
        """SIGKILL, after a last look at its memory."""
        self._look()
        self._process.kill()
        self._process.wait()
        self._ended.set()

    def output(self):
        return self.log.with_suffix(".out").read_text()

    def cpu_seconds(self):
        """Processor time of the process so far, in user and kernel mode."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _sample(self):
        while self._process.poll() is None:
            self._look()
            if self._ended.wait(SAMPLE_SECONDS):
                return

    def _look(self):
        """VmHWM is the kernel's own high-water mark, so no peak between two looks is lost but the last."""
        try:
            status = Path(f"/proc/{self.pid}/status").read_text()
        except OSError:
            return
        for line in status.splitlines():
            if line.startswith("VmHWM:"):
                self.peak_bytes = max(self.peak_bytes, int(line.split()[1]) * 1024)
