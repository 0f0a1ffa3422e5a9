"""A git server for the lab: `git http-backend` behind TLS, one password per team, and faults on demand.

It stands alone (`python3 lab/gitserver …`: the standard library, git, prlimit and timeout), because the lab keeps it as a
process and unit tests start one of their own. Requests and answers pass through files: a slow client holds no git
process, and sizes have a limit. The access log has a line a request: method, path, status, and what git wanted (ls-refs,
fetch, push or -). A file `<root>/<team>/<repository>.fault` breaks one repository: `down`, `slow`, or
`redirect <address>`.
"""

import argparse
import os
import re
import socketserver
import ssl
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import IO

import backend

_THREADS = 64
_TASTE = 2**20  # bytes of a refused request that are still read, so that its client comes to read the answer
_SLOW_FOR = 600  # seconds


class Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """Connections in threads, not more than a fixed number: the others wait in the kernel's queue."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128
    block_on_close = False

    def __init__(self, address: tuple[str, int], places: backend.Places, tls: ssl.SSLContext) -> None:
        self.places, self.tls = places, tls
        self._free = threading.BoundedSemaphore(_THREADS)
        super().__init__(address, Handler)

    def process_request(self, request, client_address) -> None:  # noqa: ANN001  as the base class has it
        self._free.acquire()
        super().process_request(request, client_address)

    def process_request_thread(self, request, client_address) -> None:  # noqa: ANN001
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request, client_address) -> None:  # noqa: ANN001
        if not isinstance(sys.exc_info()[1], OSError):  # a client that went away is no error of ours
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server_version, sys_version = "lab-git", ""
    timeout = 20  # seconds of silence
    server: Server

    def setup(self) -> None:
        self.request.settimeout(self.timeout)
        self.request = self.server.tls.wrap_socket(self.request, server_side=True)  # in this thread: it may take time
        super().setup()

    def finish(self) -> None:
        with suppress(OSError):
            super().finish()
        self.request.close()

    def log_message(self, *words: object) -> None:
        """Only the access log is written."""

    def do_GET(self) -> None:
        if self.path == "/healthz":
            self._send(200, {})
        else:
            self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        wanted = "-"
        with tempfile.TemporaryFile() as body, tempfile.TemporaryFile() as answer:
            try:
                asked = backend.Asked.parse(self.command, self.path)
                fault = backend.fault(self.server.places, asked)
                backend.admit(self.server.places, asked, self.headers.get("Authorization", ""))
                backend.receive(self.rfile, self.headers, body)
                wanted = backend.wanted(asked, body, self.headers.get("Content-Encoding", ""))
                status, headers = backend.run_git(self.server.places, asked, self.headers, body, answer)
            except backend.RefusedError as refused:
                self._note(refused.status, wanted)
                self._refuse(refused)
            else:
                self._note(status, wanted)
                self._send(status, headers, answer, slow=fault == "slow")

    def _refuse(self, refused: backend.RefusedError) -> None:
        """Answer without git; of a POST the body may still be on its way, so its connection ends."""
        self.close_connection = self.close_connection or self.command != "GET"
        self._send(refused.status, refused.headers)
        if self.command != "GET":
            self.request.settimeout(1)
            with suppress(OSError):
                self.rfile.read(_TASTE)

    def _note(self, status: int, wanted: str) -> None:
        """Write the line of this request, before its client can know that it was answered."""
        path = re.sub(r"[^!-~]", "?", self.path[:500])
        line = os.open(self.server.places.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.write(line, f"{self.command} {path} {status} {wanted}\n".encode())
        os.close(line)

    def _send(
        self, status: int, headers: Mapping[str, str], body: IO[bytes] | None = None, *, slow: bool = False
    ) -> None:
        begin = body.tell() if body else 0
        self.close_connection = self.close_connection or slow  # it may end before its time
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(body.seek(0, os.SEEK_END) - begin if body else 0))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if body:
            body.seek(begin)
            deadline = time.monotonic() + _SLOW_FOR
            while (piece := body.read(1 if slow else 65536)) and time.monotonic() < deadline:
                self.wfile.write(piece)
                time.sleep(slow)


def main() -> None:
    """Serve until killed; prints the port of each address, for tests that ask for port 0."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("root", "teams", "log", "cert", "key"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--listen", action="append", required=True, metavar="ADDRESS:PORT")
    args = parser.parse_args()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(args.cert, args.key)
    places = backend.Places(args.root, args.teams, args.log)
    for where in args.listen:
        address, _, port = where.rpartition(":")
        server = Server((address, int(port)), places, tls)
        print(f"listening on {address} {server.server_address[1]}", flush=True)
        threading.Thread(target=server.serve_forever).start()


if __name__ == "__main__":
    main()
