"""A registry behind HTTPS and basic authentication.

registry_proxy.py UPSTREAM CERTIFICATE_WITH_KEY USER PASSWORD

Prints its port, and serves until its standard input ends.
"""

import base64
import ssl
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

UPSTREAM, CERTIFICATE, USER, PASSWORD = sys.argv[1:]
EXPECTED = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
BASE = urllib.parse.urlsplit(UPSTREAM)
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Handler(BaseHTTPRequestHandler):
    def answer(self, status, kind, body):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def forward(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))) or None
        if self.headers.get("Authorization") != EXPECTED:
            return self.answer(401, "text/html", b"<h1>Unauthorized</h1>")
        url = f"{BASE.scheme}://{BASE.netloc}{self.path}"
        request = urllib.request.Request(url, data=body, method=self.command)
        request.add_header("Content-Type", self.headers.get("Content-Type", "application/json"))
        try:
            with OPENER.open(request) as answer:
                return self.answer(answer.status, "application/json", answer.read())
        except urllib.error.HTTPError as error:
            return self.answer(error.code, "application/json", error.read())

    do_GET = do_POST = forward

    def log_message(self, *_):
        pass


def main():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    sys.stdin.read()


main()
