"""The first container of a build pod fetches its code from an operator that may be restarting at that moment."""

import io
import shutil
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.resources import files
from pathlib import Path
from typing import ClassVar

import pytest

pytestmark = pytest.mark.skipif(
    shutil.which("curl") is None, reason="the script needs curl, which the builder image has"
)


def archive() -> bytes:
    """What the operator serves: a context with one file."""
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w") as tar:
        entry = tarfile.TarInfo("context/app.py")
        entry.size = 4
        tar.addfile(entry, io.BytesIO(b"pass"))
    return whole.getvalue()


class Operator(BaseHTTPRequestHandler):
    """Dies in the middle of its first answer; the next one knows the token."""

    asked: ClassVar[list[str]] = []
    refuses = False

    def do_GET(self) -> None:
        self.asked.append(self.headers["Authorization"])
        body = archive()
        self.send_response(403 if self.refuses else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:100] if len(self.asked) == 1 else body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[HTTPServer]:
    Operator.asked, Operator.refuses = [], False
    with HTTPServer(("127.0.0.1", 0), Operator) as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def fetch(server: HTTPServer, place: Path) -> subprocess.CompletedProcess[str]:
    """Run the script with its directories below `place`."""
    text = files("dataapp_operator.build").joinpath("pod", "fetch.sh").read_text()
    for path in ("/run/builder", "/work", "/dev/termination-log"):
        text = text.replace(path, f"{place}{path}")
    for directory in ("run/builder", "work", "dev"):
        (place / directory).mkdir(parents=True)
    (place / "run/builder/token").write_text("one-build")
    url = f"http://127.0.0.1:{server.server_port}/context.tar"
    return subprocess.run(
        ["sh", "-c", text],
        env={"PATH": "/usr/bin:/bin", "CONTEXT_URL": url},
        capture_output=True,
        text=True,
        check=False,
    )


def test_an_answer_that_breaks_off_is_asked_for_again(server: HTTPServer, tmp_path: Path) -> None:
    done = fetch(server, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "work/context/app.py").read_text() == "pass"
    assert Operator.asked == ["Bearer one-build"] * 2


def test_a_token_that_is_refused_is_not_tried_again(server: HTTPServer, tmp_path: Path) -> None:
    Operator.refuses = True
    Operator.asked.append("an earlier one")  # so that this answer is whole
    done = fetch(server, tmp_path)
    assert done.returncode == 20
    assert "has no code for this build (HTTP 403)" in done.stdout
    assert len(Operator.asked) == 2
