"""The lab's git server with real git: who may do what, what it logs, how it is broken, and clients that misbehave."""

import base64
import http.client
import json
import os
import socket
import ssl
import stat
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from lab.gitplace import Place, describe
from tests.harness.gitrepo import GitError, GitServer, Repo

pytestmark = pytest.mark.git

_OPENING = "info/refs?service=git-upload-pack"


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[GitServer]:
    with GitServer.local(tmp_path_factory.mktemp("git")) as started:
        yield started


@pytest.fixture
def repo(server, request) -> Iterator[Repo]:
    made = Repo(server, "analytics", request.node.name[:60].replace("[", "-").replace("]", ""))
    yield made
    made.close()


def _ask(server: GitServer, path: str, *, login: str | None = None, method: str = "GET", **more: object) -> int:
    """The status of a plain request, as `user:password`."""
    address = urlsplit(server.place.url_host)
    tls = ssl.create_default_context(cafile=server.place.ca)
    connection = http.client.HTTPSConnection(address.hostname or "", address.port, context=tls, timeout=30)
    headers = {"Authorization": f"Basic {base64.b64encode(login.encode()).decode()}"} if login else {}
    try:
        connection.request(method, path, headers=headers, **more)
        return connection.getresponse().status
    finally:
        connection.close()


def _ls_remote(repo: Repo, **environment: str) -> subprocess.CompletedProcess[str]:
    """What the server has, asked with an old or a new protocol."""
    login = repo.server.place.login(repo.team)
    words = [word for name, value in login.items() for word in ("-c", f"{name}={value}")]
    clean = {"PATH": os.environ["PATH"], "HOME": str(repo.work), "GIT_TERMINAL_PROMPT": "0", **environment}
    argv = ["git", *words, "ls-remote", repo.url_host]
    return subprocess.run(argv, env=clean, capture_output=True, text=True, check=False, timeout=60)


def test_what_is_pushed_is_there_for_others(repo, tmp_path):
    first = repo.commit({"app.py": "print(1)\n", "data/numbers.bin": bytes(range(256))})
    repo.tag("v1")
    repo.tag("v2", message="a release")
    assert repo.push() == first
    repo.branch("feature")
    second = repo.commit({"app.py": None, "other.py": ""}, "Rename", at="2026-01-02T03:04:05Z")
    repo.push()
    told = dict(reversed(line.split("\t")) for line in _ls_remote(repo).stdout.splitlines())
    assert told["refs/heads/main"] == told["refs/tags/v1"] == told["refs/tags/v2^{}"] == told["HEAD"] == first
    assert told["refs/heads/feature"] == second
    assert repo.git("log", "-1", "--format=%cI") == "2026-01-02T03:04:05+00:00"
    assert not (repo.work / "app.py").exists()


def test_a_commit_is_fetched_by_its_sha_also_when_no_branch_has_it_any_more(repo, server):
    kept = repo.commit({"app.py": "one\n"})
    lost = repo.commit({"app.py": "two\n"})
    repo.push()
    repo.rewind(kept)
    repo.commit({"app.py": "three\n"})
    with pytest.raises(GitError, match="non-fast-forward"):
        repo.push()
    repo.force_push()
    fresh = Repo(server, repo.team, repo.name)
    fresh.git("fetch", "--quiet", "--depth=1", "origin", lost)
    assert fresh.git("show", f"{lost}:app.py") == "two"
    fresh.close()


def test_links_and_submodules_are_committed_as_they_are(repo):
    repo.symlink("apps/sales/secrets", "/etc/passwd")
    repo.submodule("vendor/lib", "https://example.org/lib.git")
    repo.push()
    tree = repo.git("ls-tree", "-r", "HEAD")
    assert "120000 blob" in tree
    assert "160000 commit 1111111111" in tree


def test_full_refs_come_and_go(repo):
    repo.commit({"a": "1"})
    repo.push_to("refs/pull/7/head")
    assert "refs/pull/7/head" in _ls_remote(repo).stdout
    repo.delete_ref("refs/pull/7/head")
    assert _ls_remote(repo).stdout == ""


def test_both_protocols_are_spoken_and_looking_is_told_from_fetching(repo):
    repo.commit({"a": "1"})
    repo.push()
    before = len(repo.requests())
    for version in ("0", "2"):
        done = _ls_remote(repo, GIT_CONFIG_COUNT="1", GIT_CONFIG_KEY_0="protocol.version", GIT_CONFIG_VALUE_0=version)
        assert done.returncode == 0, done.stderr
    assert (repo.count("ls-refs"), repo.count("fetch"), repo.count("push")) == (1, 0, 1)
    repo.git("fetch", "--quiet", "--depth=1", "--refetch", "origin", "main")
    assert repo.count("fetch") == 1
    asked = repo.requests()[before:]
    assert [one.status for one in asked[:2]] == [401, 200], "git asks without a password first"
    assert f"GET /analytics/{repo.name}.git/{_OPENING} 200 -" in Path(repo.server.place.access_log).read_text()


def test_a_large_push_in_chunks_arrives_whole(repo, server):
    noise = os.urandom(3 * 2**20)
    repo.commit({"noise.bin": noise})
    repo.push()
    fresh = Repo(server, repo.team, repo.name)
    fresh.git("pull", "--quiet", "origin", "main")
    assert (fresh.work / "noise.bin").read_bytes() == noise
    fresh.close()


def test_only_the_team_itself_gets_in(repo, server):
    path = f"/analytics/{repo.name}.git/{_OPENING}"
    mine, other = server.password("analytics"), server.password("finance")
    assert _ask(server, path, login=f"analytics:{mine}") == 200
    assert _ask(server, path) == 401
    for wrong in (
        "analytics:",
        f"analytics:{other}",
        f"nobody:{mine}",
        f".hidden:{mine}",
        ":",
        "ä:ö",
    ):
        assert _ask(server, path, login=wrong) == 401, wrong
    assert _ask(server, path, login=f"finance:{other}") == 404
    assert _ask(server, path.replace("upload", "receive"), login=f"finance:{other}") == 404
    assert _ask(server, f"/analytics/none.git/{_OPENING}", login=f"analytics:{mine}") == 404


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/", 404),
        ("/../teams/analytics", 404),
        (f"/analytics/../finance/x.git/{_OPENING}", 404),
        (f"/analytics/%2e%2e/x.git/{_OPENING}", 404),
        ("/analytics/x.git/HEAD", 404),
        ("/analytics/x.git/config", 404),
        ("/analytics/x.git/info/refs", 403),
        ("/analytics/x.git/info/refs?service=git-upload-archive", 403),
        ("/healthz", 200),
    ],
)
def test_nothing_but_the_smart_protocol_is_served(server, path, status):
    assert _ask(server, path, login=f"analytics:{server.password('analytics')}") == status


def test_passwords_are_private_made_once_and_not_in_the_log_or_the_descriptions(repo, server):
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(lambda _: server.password("rush"), range(32)))) == 1
    _ls_remote(repo)
    password = server.password("analytics")
    assert len(password) >= 24
    for path in (server.place.password_file("analytics"), Path(server.place.access_log)):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert password not in Path(server.place.access_log).read_text()
    assert password not in describe(server.place, "analytics", repo.name)
    assert password not in json.dumps(repr(server))
    assert not list(Path(server.place.teams).glob(".rush.*"))


def test_the_secret_says_user_password_and_authority(repo, server):
    manifest = repo.secret_manifest("analytics", "git")
    assert manifest["metadata"] == {"name": "git", "namespace": "analytics"}
    told = {key: base64.b64decode(value).decode() for key, value in manifest["data"].items()}
    assert told == {"username": "analytics", "password": server.password("analytics"), "ca.crt": server.ca_pem}


def test_faults_break_one_repository_until_they_are_mended(repo, server):
    repo.commit({"a": "1"})
    repo.push()
    healthy = Repo(server, repo.team, f"{repo.name[:40]}-beside")
    for fault, words in (("down", "503"), ("redirect https://127.0.0.1:1/x.git", "redirect|127.0.0.1")):
        repo.fault(fault)
        done = _ls_remote(repo)
        assert done.returncode != 0
        assert any(word in done.stderr for word in words.split("|")), done.stderr
        assert _ls_remote(healthy).returncode == 0
    assert repo.requests()[-1].status == 302
    repo.fault(None)
    assert _ls_remote(repo).returncode == 0
    healthy.close()


def test_a_slow_answer_comes_a_byte_a_second_and_holds_nobody_else_up(repo, server):
    repo.commit({"a": "1"})
    repo.push()
    repo.fault("slow")
    path, login = f"/analytics/{repo.name}.git/{_OPENING}", f"analytics:{server.password('analytics')}"
    address = urlsplit(server.place.url_host)
    tls = ssl.create_default_context(cafile=server.place.ca)
    connection = http.client.HTTPSConnection(address.hostname or "", address.port, context=tls, timeout=5)
    began = time.monotonic()
    basic = base64.b64encode(login.encode()).decode()
    connection.request("GET", path, headers={"Authorization": f"Basic {basic}"})
    answer = connection.getresponse()
    assert answer.read(3) == b"001"
    assert 1.5 < time.monotonic() - began < 10
    connection.close()
    repo.fault(None)
    assert _ask(server, path, login=login) == 200


def test_requests_that_are_too_large_or_not_well_formed_are_refused(repo, server):
    path, login = f"/analytics/{repo.name}.git/git-receive-pack", f"analytics:{server.password('analytics')}"
    for headers, status in (
        ({"Content-Length": str(2**30)}, 413),
        ({"Content-Length": "-5"}, 400),
        ({"Content-Length": "five"}, 400),
        ({"Transfer-Encoding": "chunked"}, 400),
    ):
        address = urlsplit(server.place.url_host)
        tls = ssl.create_default_context(cafile=server.place.ca)
        connection = http.client.HTTPSConnection(address.hostname or "", address.port, context=tls, timeout=30)
        connection.putrequest("POST", path)
        connection.putheader("Authorization", f"Basic {base64.b64encode(login.encode()).decode()}")
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders(b"zz\r\n")
        assert connection.getresponse().status == status, headers
        connection.close()


def test_clients_that_say_nothing_or_nonsense_or_go_away_harm_nobody(repo, server):
    repo.commit({"a": "1"})
    repo.push()
    address = urlsplit(server.place.url_host)
    where = ("127.0.0.1", address.port or 0)
    silent = [socket.create_connection(where) for _ in range(40)]
    for _ in range(20):
        with socket.create_connection(where) as nonsense:
            nonsense.sendall(b"GET / HTTP/1.1\r\n\r\n" * 10)
    tls = ssl.create_default_context(cafile=server.place.ca)
    login = base64.b64encode(f"analytics:{server.password('analytics')}".encode()).decode()
    for _ in range(10):
        with tls.wrap_socket(socket.create_connection(where), server_hostname="localhost") as leaving:
            head = f"POST /analytics/{repo.name}.git/git-upload-pack HTTP/1.1\r\nAuthorization: Basic {login}\r\n"
            leaving.sendall(f"{head}Content-Length: 1000\r\n\r\n0014".encode())
    began = time.monotonic()
    assert _ls_remote(repo).returncode == 0
    assert time.monotonic() - began < 10
    for one in silent:
        one.close()


def test_many_at_once_are_all_answered(repo):
    repo.commit({"a": "1"})
    repo.push()
    with ThreadPoolExecutor(16) as pool:
        assert {done.returncode for done in pool.map(lambda _: _ls_remote(repo), range(32))} == {0}


def test_a_deleted_repository_is_gone_and_can_be_made_again(repo, server):
    repo.commit({"a": "1"})
    repo.push()
    repo.fault("down")
    repo.delete()
    assert "not found" in _ls_remote(repo).stderr
    again = Repo(server, repo.team, repo.name)
    assert _ls_remote(again).stdout == ""
    again.close()


def test_a_place_survives_being_written_and_read(server, tmp_path):
    server.place.write(tmp_path / "git.json")
    assert Place.read(tmp_path / "git.json") == server.place
    assert stat.S_IMODE((tmp_path / "git.json").stat().st_mode) == 0o600
