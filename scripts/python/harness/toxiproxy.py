"""A proxy that makes a connection slow or breaks it: Shopify's toxiproxy, over its HTTP interface."""

import json
import subprocess
import time
import urllib.error
import urllib.request

from free_ports import free_ports

ANSWER_SECONDS = 20


class Toxiproxy:
    def __init__(self, program, log):
        self._port = free_ports(1)[0]
        self._process = subprocess.Popen(
            [program, "-host", "127.0.0.1", "-port", str(self._port)],
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._await_answer()

    def proxy(self, name, upstream):
        """A new proxy in front of `upstream` (host:port); its own port."""
        port = free_ports(1)[0]
        listen = f"127.0.0.1:{port}"
        self._call("POST", "/proxies", {"name": name, "listen": listen, "upstream": upstream, "enabled": True})
        return port

    def poison(self, name, kind, attributes, stream="downstream"):
        """Adds a toxic; the kinds and their attributes are toxiproxy's."""
        toxic = {"name": kind, "type": kind, "stream": stream, "attributes": attributes}
        self._call("POST", f"/proxies/{name}/toxics", toxic)

    def cure(self, name, kind):
        self._call("DELETE", f"/proxies/{name}/toxics/{kind}")

    def enable(self, name, enabled):
        """A proxy that is not enabled refuses connections and has dropped those it had."""
        self._call("POST", f"/proxies/{name}", {"enabled": enabled})

    def reset(self):
        """All proxies enabled, no toxic left."""
        self._call("POST", "/reset")

    def stop(self):
        self._process.terminate()
        self._process.wait()

    def _await_answer(self):
        deadline = time.monotonic() + ANSWER_SECONDS
        while True:
            try:
                return self._call("GET", "/version")
            except urllib.error.URLError:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise
                time.sleep(0.05)

    def _call(self, method, path, body=None):
        request = urllib.request.Request(
            f"http://127.0.0.1:{self._port}{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
        )
        # Whatever proxy the environment names is not for this machine.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=10) as answer:
            return answer.read()
