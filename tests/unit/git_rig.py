"""Real repositories on a real HTTPS git server: `git http-backend` behind Python's TLS server on loopback.

The server has an authority of its own, asks for a password where a repository has one, counts what it is asked, and can
be told to misbehave. It is reached as git.example.test, a name that no DNS knows: whoever arrives used our pinned address.
"""

import base64
import contextlib
import datetime as dt
import hashlib
import http.server
import ipaddress
import os
import socket
import ssl
import struct
import subprocess
import threading
import time
import zlib
from collections import Counter
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from dataapp_operator.source.errors import SourceError
from dataapp_operator.source.hosts import HostPolicy
from dataapp_operator.source.hub import Hub
from dataapp_operator.source.limits import Limits
from dataapp_operator.source.remote import Credential, Remote

HOST = "git.example.test"
_ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.test",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.test",
}
_FIRST_COMMIT = 1_750_000_000


def git(*args, at, stdin=None, when=_FIRST_COMMIT):
    """Run git in a directory of the test, and give its output."""
    dates = {"GIT_AUTHOR_DATE": f"{when} +0000", "GIT_COMMITTER_DATE": f"{when} +0000"}
    done = subprocess.run(
        ["git", *args], cwd=at, input=stdin, env=_ENVIRONMENT | dates, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().strip()


def _quoted(path: str) -> bytes:
    """A path as fast-import takes any."""
    return b'"%b"' % b"".join(b"\\%03o" % byte for byte in path.encode("utf-8", "surrogateescape"))


class Repository:
    """A bare repository that is written without a work tree."""

    def __init__(self, path: Path):
        self.path = path
        path.mkdir(parents=True)
        git("init", "--quiet", "--bare", "--initial-branch=main", ".", at=path)
        self.commits = 0

    def blob(self, content: bytes) -> str:
        return git("hash-object", "-w", "--stdin", at=self.path, stdin=content)

    def commit(self, files, *, branch="main", remove=(), fresh=False, orphan=False) -> str:
        """Commit `files`: path -> bytes, or (mode, content or object id). The rest stays, unless `fresh` or `orphan`."""
        self.commits += 1
        ref, parent = f"refs/heads/{branch}", self.head(branch)
        who = f"Ada <ada@example.test> {_FIRST_COMMIT + 60 * self.commits} +0000"
        said = [f"commit {ref}\nauthor {who}\ncommitter {who}\ndata 8\na change\n".encode()]
        said += [f"from {parent}\n".encode()] if parent and not orphan else []
        said += [b"deleteall\n"] if fresh else []
        said += [b"D %b\n" % _quoted(path) for path in remove]
        for path, given in files.items():
            mode, content = given if isinstance(given, tuple) else ("100644", given)
            if isinstance(content, str):
                said.append(b"M %b %b %b\n" % (mode.encode(), content.encode(), _quoted(path)))
            else:
                head = (mode.encode(), _quoted(path), len(content))
                said.append(b"M %b inline %b\ndata %d\n" % head + content + b"\n")
        git("fast-import", "--quiet", "--force", at=self.path, stdin=b"".join(said))
        return self.head(branch)

    def commit_tree(self, tree, *, branch="main", parent=None, ref=None):
        self.commits += 1
        parents = ("-p", parent) if parent else ()
        when = _FIRST_COMMIT + 60 * self.commits
        made = git("commit-tree", tree, *parents, "-m", "a change", at=self.path, when=when)
        git("update-ref", ref or f"refs/heads/{branch}", made, at=self.path)
        return made

    def head(self, branch="main"):
        loose = self.path / "refs" / "heads" / branch
        if loose.exists():
            return loose.read_text().strip()
        listed = (
            git("for-each-ref", "--format=%(objectname)", f"refs/heads/{branch}", at=self.path)
            if self.commits > 1
            else ""
        )
        return listed.splitlines()[0] if listed else None

    def raw(self, kind, content: bytes) -> str:
        """An object that git itself would not write."""
        return git("hash-object", "-t", kind, "-w", "--literally", "--stdin", at=self.path, stdin=content)

    def tag(self, name, commit, *, annotated=False):
        options = ("-a", "-m", "a tag") if annotated else ()
        git("tag", "--no-sign", *options, name, commit, at=self.path, when=_FIRST_COMMIT)


def authority(directory: Path):
    """An authority, and a certificate by it for the server's names: the authority's PEM and the server's file."""
    now = dt.datetime.now(dt.UTC)
    days = dt.timedelta(days=2)

    def certificate(subject, key, issuer, issuer_key, *extensions):
        def name(text):
            return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

        builder = (
            x509.CertificateBuilder()
            .subject_name(name(subject))
            .issuer_name(name(issuer))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - days)
            .not_valid_after(now + days)
        )
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical=critical)
        return builder.sign(issuer_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca = certificate("rig authority", ca_key, "rig authority", ca_key, (x509.BasicConstraints(True, None), True))
    names = [x509.DNSName(HOST), x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    mine = certificate(HOST, key, "rig authority", ca_key, (x509.SubjectAlternativeName(names), False))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = directory / "server.pem"
    path.write_bytes(private + mine)
    return ca.decode(), path


class GitServer:
    """Serves the repositories below `root`. `users`: "name:password" or "Bearer x" by repository path."""

    def __init__(self, root: Path):
        self.root = root
        self.users: dict[str, str] = {}
        self.fault = None  # None, or a name in _FAULTS, or a number: the HTTP status of every answer
        self.fault_on = ""  # only for requests whose path and query hold this
        self.counts = Counter()
        self.seen: list[tuple[str, str | None]] = []  # (request, Authorization)
        self.released = threading.Event()
        self.arrived = threading.Event()
        self.protocol = True  # whether Git-Protocol is handed on: without it the server speaks version 0
        self.ca, certificate = authority(root)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        outer = self

        class Handler(_Handler):
            rig = outer

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

            def finish_request(self, request, client_address):
                # The handshake belongs to the connection's own thread.
                with contextlib.suppress(OSError), context.wrap_socket(request, server_side=True) as wrapped:
                    self.RequestHandlerClass(wrapped, client_address, self)

            def handle_error(self, request, client_address):
                outer.counts["broken"] += 1

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.thread.start()

    def repository(self, name: str) -> Repository:
        return Repository(self.root / "srv" / name)

    def url(self, name: str) -> str:
        return f"https://{HOST}:{self.port}/{name}"

    def remote(self, name: str, **credential) -> Remote:
        """The repository as one sees it who knows our authority, and perhaps a password."""
        return Remote(self.url(name), Credential(ca=self.ca, **credential))

    def misbehave(self, fault, on=""):
        self.released.clear()
        self.arrived.clear()
        self.fault, self.fault_on = fault, on

    def behave(self):
        self.fault = None
        self.released.set()

    @property
    def looks(self):
        return self.counts["ls-refs"]

    @property
    def packs(self):
        return self.counts["fetch"]

    def close(self):
        self.behave()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    rig: GitServer
    disable_nagle_algorithm = True

    def log_message(self, *_args):
        pass

    def do_GET(self):
        self.answer(b"")

    def do_POST(self):
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.headers.get("Content-Encoding") == "gzip":
            body = zlib.decompress(body, 31)
        self.answer(body)

    def answer(self, body: bytes):
        rig = self.rig
        path, _, query = self.path.partition("?")
        kind = "info" if "info/refs" in path else "fetch" if b"command=fetch" in body else "ls-refs"
        rig.counts[kind] += 1
        rig.seen.append((f"{self.command} {self.path}", self.headers.get("Authorization")))
        if rig.fault is not None and rig.fault_on in f"{path}?{query}#{kind}":
            rig.arrived.set()
            if isinstance(rig.fault, int):
                self.say(rig.fault)
                return
            _FAULTS[rig.fault](self, rig)
            return
        wanted = rig.users.get(path.lstrip("/").split("/info/")[0].removesuffix("/git-upload-pack"))
        if wanted and self.headers.get("Authorization") != self.expected(wanted):
            self.say(401, ("WWW-Authenticate", 'Basic realm="rig"'))
            return
        self.backend(path, query, body)

    @staticmethod
    def expected(wanted):
        if wanted.startswith("Bearer "):
            return wanted
        return "Basic " + base64.b64encode(wanted.encode()).decode()

    def say(self, status, *headers, body=b""):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def backend(self, path, query, body):
        environment = _ENVIRONMENT | {
            "GIT_PROJECT_ROOT": str(self.rig.root / "srv"),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "REMOTE_ADDR": "127.0.0.1",
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", "") if self.rig.protocol else "",
        }
        done = subprocess.run(["git", "http-backend"], input=body, env=environment, capture_output=True, check=False)
        head, _, answer = done.stdout.partition(b"\r\n\r\n")
        headers = [tuple(line.split(": ", 1)) for line in head.decode().splitlines()]
        status = next((int(value.split()[0]) for name, value in headers if name == "Status"), 200)
        self.say(status, *(pair for pair in headers if pair[0] != "Status"), body=answer)


def _slow(handler, rig):
    """One byte now and then, for as long as the rig says."""
    handler.send_response(200)
    handler.send_header("Content-Type", "application/x-git-upload-pack-result")
    handler.send_header("Content-Length", "1000000")
    handler.end_headers()
    with contextlib.suppress(OSError):
        while not rig.released.wait(0.2):
            handler.wfile.write(b"0")
            handler.wfile.flush()
    handler.close_connection = True


def _hang(handler, rig):
    """Not a word."""
    rig.released.wait(30)
    handler.close_connection = True


def _echo(handler, _rig):
    """A refusal that quotes the credentials: whole, decoded, and broken over two lines."""
    given = handler.headers.get("Authorization") or ""
    scheme, _, value = given.partition(" ")
    plain = base64.b64decode(value).decode() if scheme == "Basic" else value
    half = len(plain) // 2
    body = f"no entry for {given}\nyou said {plain}\nor {plain[:half]}\n{plain[half:]}\n".encode()
    handler.say(403, ("Content-Type", "text/plain"), body=body)


def _redirect(handler, rig):
    handler.say(302, ("Location", f"https://{HOST}:{rig.port}/elsewhere.git/info/refs?service=git-upload-pack"))


def _redirect_away(handler, _rig):
    handler.say(302, ("Location", "http://169.254.169.254/latest/meta-data"))


def _packet(data: bytes) -> bytes:
    return b"%04x" % (len(data) + 4) + data


def _huge(handler, rig):
    """A pack that never ends: one file of five GiB."""
    handler.send_response(200)
    handler.send_header("Content-Type", "application/x-git-upload-pack-result")
    handler.send_header("Connection", "close")
    handler.end_headers()
    handler.close_connection = True
    squeeze = zlib.compressobj(0)
    size, header = 5 << 30, bytearray()
    first, rest = (3 << 4) | (size & 15), size >> 4
    header.append(first | 0x80)
    while rest:
        header.append((rest & 0x7F) | (0x80 if rest > 0x7F else 0))
        rest >>= 7
    noise = os.urandom(60_000)
    with contextlib.suppress(OSError):
        handler.wfile.write(_packet(b"packfile\n"))
        handler.wfile.write(_packet(b"\x01PACK" + struct.pack(">II", 2, 1) + bytes(header)))
        while not rig.released.is_set():
            if piece := squeeze.compress(noise):
                for at in range(0, len(piece), 60_000):
                    handler.wfile.write(_packet(b"\x01" + piece[at : at + 60_000]))


def _endless_refs(handler, rig):
    """Branches without end."""
    handler.send_response(200)
    handler.send_header("Content-Type", "application/x-git-upload-pack-result")
    handler.send_header("Connection", "close")
    handler.end_headers()
    handler.close_connection = True
    number = 0
    with contextlib.suppress(OSError):
        while not rig.released.is_set():
            lines = []
            for _ in range(1000):
                number += 1
                oid = hashlib.sha1(b"%d" % number, usedforsecurity=False).hexdigest()
                lines.append(_packet(f"{oid} refs/tags/t{number}\n".encode()))
            handler.wfile.write(b"".join(lines))


_FAULTS = {
    "slow": _slow,
    "hang": _hang,
    "echo": _echo,
    "redirect": _redirect,
    "redirect away": _redirect_away,
    "huge": _huge,
    "endless refs": _endless_refs,
}


def children_of(pid: int) -> list[int]:
    """All live descendants of a process."""
    parents = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            if fields[0] != "Z":
                parents[int(entry.name)] = int(fields[1])
    found, edge = [], [pid]
    while edge:
        edge = [child for child, parent in parents.items() if parent in edge]
        found += edge
    return found


def git_processes() -> list[int]:
    """Our descendants that are git fetching or looking (not the server's own)."""
    ours = []
    for pid in children_of(os.getpid()):
        with contextlib.suppress(OSError):
            line = Path(f"/proc/{pid}/cmdline").read_bytes()
            if b"http-backend" not in line and b"upload-pack" not in line and b"pack-objects" not in line:
                ours.append(pid)
    return ours


def wait_until(what, seconds=5.0):
    """Wait in small steps until something holds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if what():
            return True
        time.sleep(0.02)
    return bool(what())


def closed_port() -> int:
    """A port where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def here(_host, _port):
    """What our resolver says of every name."""
    return ["127.0.0.1"]


def hub_at(root: Path, *, policy=None, resolve=here, **limits) -> Hub:
    """A hub that may ask our server; failures are not remembered unless a test wants that."""
    given = {"failure_seconds": 0.0, "low_speed_seconds": 20} | limits
    return Hub(root, policy=policy or HostPolicy(allowed=(HOST,)), limits=Limits(**given), resolve=resolve)


async def refusal(awaitable) -> SourceError:
    """The SourceError that something ends in."""
    try:
        result = await awaitable
    except SourceError as error:
        return error
    raise AssertionError(f"it was not refused: {result}")
