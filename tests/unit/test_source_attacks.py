"""Servers and repositories that mean harm, and what they get: a sentence, within limits, and never a secret."""

import asyncio
import base64
import os
import time
from pathlib import Path

import pytest
import pytest_asyncio

from dataapp_operator.api.code import GitRef
from dataapp_operator.api.reasons import Reason
from dataapp_operator.source.remote import Remote
from tests.unit.git_rig import HOST, GitServer, children_of, closed_port, git_processes, hub_at, refusal, wait_until

pytestmark = [pytest.mark.git, pytest.mark.asyncio]

MAIN = GitRef(branch="main")
TOKEN = "S3CRET-Token+/42"
KIB = 1024


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = GitServer(tmp_path_factory.mktemp("server"))
    yield server
    server.close()


@pytest.fixture
def repository(server, request, tmp_path):
    server.users.clear()
    server.counts.clear()
    server.seen.clear()
    yield server.repository(f"{tmp_path.name}.git")
    server.behave()


@pytest.fixture
def remote(server, repository):
    server.users[repository.path.name] = f"ada:{TOKEN}"
    return server.remote(repository.path.name, username="ada", password=TOKEN)


@pytest_asyncio.fixture
async def make(tmp_path):
    made = []

    def make(**options):
        made.append(hub_at(tmp_path / "git", **options))
        return made[-1]

    yield make
    for hub in made:
        await hub.close()


def holds_no_secret(text):
    for form in (TOKEN, TOKEN[:8], base64.b64encode(f"ada:{TOKEN}".encode()).decode(), "%2B%2F42"):
        assert form not in text


@pytest.mark.parametrize("given", [{"username": "ada", "password": TOKEN}, {"bearer_token": TOKEN}])
async def test_no_secret_is_anywhere_to_be_seen_during_a_slow_fetch(make, server, repository, given, tmp_path):
    commit = repository.commit({"app.py": b"x"})
    hub = make()
    commands = []
    hub.runner.on_start = commands.append
    server.misbehave("slow", "#fetch")
    remote = server.remote(repository.path.name, **given)
    reading = asyncio.create_task(hub.code(remote, commit, "."))
    assert await asyncio.to_thread(server.arrived.wait, 10)
    assert all(sent == remote.credential.header for _, sent in server.seen)
    seen = 0
    for pid in children_of(os.getpid()):
        for part in ("cmdline", "environ"):
            content = Path(f"/proc/{pid}/{part}").read_bytes().decode("utf-8", "replace")
            seen += bool(content)
            holds_no_secret(content)
    assert seen >= 4
    for path in filter(Path.is_file, (tmp_path / "git").rglob("*")):
        holds_no_secret(path.read_bytes().decode("utf-8", "replace"))
    assert commands
    for command in commands:
        holds_no_secret(" ".join(command))
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert wait_until(lambda: not git_processes())


@pytest.mark.parametrize("fault", [401, 403, 404, 429, 500, 503, "echo", "redirect", "redirect away"])
async def test_every_refusal_of_a_server_is_a_sentence_without_a_secret(make, server, remote, fault):
    server.misbehave(fault)
    error = await refusal(make().look(remote, MAIN, max_age=0))
    expected = {
        401: (Reason.AUTHENTICATION_FAILED, "does not accept the credentials"),
        403: (Reason.AUTHENTICATION_FAILED, "does not let these credentials"),
        404: (Reason.INVALID_URL, "there is no repository"),
        429: (Reason.GIT_UNREACHABLE, "less often"),
        500: (Reason.GIT_UNREACHABLE, "HTTP 500"),
        503: (Reason.GIT_UNREACHABLE, "HTTP 503"),
        "echo": (Reason.AUTHENTICATION_FAILED, "does not let these credentials"),
        "redirect": (Reason.INVALID_URL, "to another address"),
        "redirect away": (Reason.INVALID_URL, "to another address"),
    }[fault]
    assert (error.reason, error.transient) == (expected[0], error.reason == Reason.GIT_UNREACHABLE)
    assert expected[1] in error.message
    assert error.message.isprintable()
    holds_no_secret(error.message)
    assert not any("elsewhere" in request for request, _ in server.seen)


async def test_an_address_without_its_ending_is_told_the_right_one(make, server, repository):
    server.misbehave("redirect")
    address = server.url(repository.path.name).removesuffix(".git")
    error = await refusal(make().look(Remote(address, server.remote("x").credential), MAIN, max_age=0))
    assert f"use {address}.git" in error.message


async def test_who_gives_no_password_is_told_where_to_put_one(make, server, repository, remote):
    error = await refusal(make().look(server.remote(repository.path.name), MAIN, max_age=0))
    assert error.reason == Reason.AUTHENTICATION_FAILED
    assert "secretRef" in error.message


async def test_an_unknown_authority_is_told_with_its_remedy(make, server, repository):
    repository.commit({"app.py": b"x"})
    hub = make()
    error = await refusal(hub.look(Remote(server.url(repository.path.name)), MAIN, max_age=0))
    assert error.reason == Reason.GIT_UNREACHABLE
    assert "ca.crt" in error.message
    assert server.counts.total() - server.counts["broken"] == 0


async def test_a_server_that_is_down_is_tried_again(make):
    error = await refusal(make().look(Remote(f"https://{HOST}:{closed_port()}/x.git"), MAIN, max_age=0))
    assert (error.reason, error.transient) == (Reason.GIT_UNREACHABLE, True)
    assert "nobody answers" in error.message


async def test_a_server_that_is_too_slow_is_given_up(make, server, remote):
    server.misbehave("slow")
    began = time.monotonic()
    error = await refusal(make(low_speed_seconds=1).look(remote, MAIN, max_age=0))
    assert time.monotonic() - began < 5
    assert (error.reason, error.transient) == (Reason.GIT_UNREACHABLE, True)
    assert "too slowly" in error.message


async def test_a_server_that_takes_for_ever_is_given_up_by_the_clock(make, server, repository, remote):
    repository.commit({"app.py": b"x"})
    server.misbehave("hang")
    error = await refusal(make(look_seconds=0.5).look(remote, MAIN, max_age=0))
    assert "within 0.5 s" in error.message
    assert wait_until(lambda: not git_processes())


async def test_one_host_that_hangs_does_not_stop_the_others(make, server, repository, remote):
    commit = repository.commit({"app.py": b"x"})
    hub = make(processes=2)
    await hub.code(remote, commit, ".")
    server.misbehave("hang", "#ls-refs")
    waiting = [asyncio.create_task(hub.look(remote, GitRef(branch=f"b{n}"), max_age=0)) for n in range(5)]
    assert await asyncio.to_thread(server.arrived.wait, 10)
    async with asyncio.timeout(5):
        assert await hub.code(remote, commit, ".")
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert wait_until(lambda: not git_processes())


async def test_a_pack_without_end_is_broken_off_and_swept(make, server, repository, remote, tmp_path):
    commit = repository.commit({"app.py": b"x"})
    hub = make(mirror_bytes=4096 * KIB)
    server.misbehave("huge", "#fetch")
    error = await refusal(hub.code(remote, commit, "."))
    assert error.reason == Reason.TOO_LARGE
    assert "more than 4 MiB" in error.message
    assert wait_until(lambda: not git_processes())
    assert sum(path.stat().st_size for path in (tmp_path / "git").rglob("*") if path.is_file()) < 64 * KIB
    server.behave()
    assert await hub.code(remote, commit, ".")


async def test_refs_without_end_are_broken_off(make, server, repository, remote):
    repository.commit({"app.py": b"x"})
    server.misbehave("endless refs", "#ls-refs")
    error = await refusal(make(address_space=64 << 20).look(remote, MAIN, max_age=0, tags=True))
    assert error.reason == Reason.TOO_LARGE


async def test_a_large_file_is_named_with_its_limit(make, repository, remote):
    commit = repository.commit(
        {"app/app.py": b"x", "app/data/model.bin": bytes(200 * KIB), "app/big.py": bytes(150 * KIB)}
    )
    hub = make(file_bytes=180 * KIB, text_bytes=100 * KIB)
    for awaitable in (hub.code(remote, commit, "app"), hub.archive(remote, commit, "app")):
        error = await refusal(awaitable)
        assert error.reason == Reason.TOO_LARGE
        assert "app/data/model.bin is 200 KiB, and the limit for a file is 180 KiB" in error.message
    found = await hub.files(remote, commit, ["app/big.py"])
    error = await refusal(hub.read(remote, commit, found, max_bytes=100 * KIB))
    assert "app/big.py is 150 KiB" in error.message


async def test_a_file_that_unpacks_to_more_than_it_says_is_not_read(make, repository, remote):
    """Ten kilobytes that become ten megabytes; and an entry that lies about it."""
    commit = repository.commit({"dataapp.yaml": bytes(10_000 * KIB)})
    hub = make()
    (entry,) = await hub.files(remote, commit, ["dataapp.yaml"])
    liar = type(entry)(entry.path, entry.oid, 10, entry.mode)
    for each in (entry, liar):
        error = await refusal(hub.read(remote, commit, [each], max_bytes=1024 * KIB))
        assert (error.reason, "9.8 MiB" in error.message) == (Reason.TOO_LARGE, True)


async def test_the_whole_of_an_app_has_a_limit_too(make, repository, remote):
    commit = repository.commit({f"app/{n}.txt": os.urandom(10) * 3000 for n in range(10)})
    assert "has 293 KiB of files" in (await refusal(make(app_bytes=200 * KIB).code(remote, commit, "app"))).message
    assert "has 10 files" in (await refusal(make(app_entries=9).code(remote, commit, "app"))).message
    assert "more than 5 files" in (await refusal(make(entries=5).files(remote, commit, ["**/x"]))).message


async def test_a_repository_of_ten_billion_files_is_not_listed(make, repository, remote):
    oid, mode = repository.blob(b"boom"), b"100644"
    for _ in range(10):
        oid = repository.raw("tree", b"".join(b"%b %02d\0%b" % (mode, n, bytes.fromhex(oid)) for n in range(10)))
        mode = b"40000"
    commit = repository.commit_tree(oid)
    hub = make(entries=20_000)
    began = time.monotonic()
    for awaitable in (
        hub.files(remote, commit, ["**/dataapp.yaml"]),
        hub.code(remote, commit, "."),
        hub.archive(remote, commit, "."),
    ):
        assert (await refusal(awaitable)).reason == Reason.TOO_LARGE
    assert (await refusal(hub.code(remote, commit, "00/nope"))).reason == Reason.PATH_MISSING
    assert time.monotonic() - began < 10
    assert wait_until(lambda: not git_processes())


BAD_NAME = "no file of an app may have such a name"
LEADING_OUT = {
    "1": ({"1/link": ("120000", b"/etc/passwd")}, "1/link: a symbolic link"),
    "2": ({"2/self": ("120000", b"self")}, "2/self: a symbolic link"),
    "3": ({"3/dir": ("120000", b"/var/run/secrets")}, "3/dir: a symbolic link"),
    "4": ({"4/sub": ("160000", "1" * 40)}, "4/sub: a submodule"),
    "5": ({"5/a": ("120000", b"b"), "5/b": ("120000", b"a")}, "5/a, 5/b: symbolic links or submodules"),
    "6": ({"6/a\nb": b"x"}, f"a\\x0ab: {BAD_NAME}"),
    "7": ({"7/a\x1b[2J": b"x"}, f"a\\x1b[2J: {BAD_NAME}"),
    "8": ({"8/a\\b": b"x"}, f"a\\b: {BAD_NAME}"),
    "9": ({"9/\udcff": b"x"}, f"\\xdcff: {BAD_NAME}"),
}


async def test_what_could_lead_out_of_an_app_is_refused_by_name(make, repository, remote):
    files = {"good/app.py": b"x"}
    for app, (entries, _) in LEADING_OUT.items():
        files |= {f"{app}/app.py": b"x"} | entries
    commit = repository.commit(files)
    hub = make()
    _, bad = await hub.trees(remote, commit, [(app, (), None) for app in LEADING_OUT])
    for app, (_, says) in LEADING_OUT.items():
        for error in (await refusal(hub.code(remote, commit, app)), bad[app, (), None]):
            assert error.reason == Reason.UNSAFE_TREE
            assert says in error.message
            assert error.message.isprintable()
    assert await hub.code(remote, commit, "good")
    odd = [e for e in await hub.files(remote, commit, ["*/*"]) if not e.regular]
    assert len(odd) == 6
    for entry in odd:
        assert (await refusal(hub.read(remote, commit, [entry], max_bytes=100))).reason == Reason.UNSAFE_TREE


async def test_a_tree_that_git_would_not_write_is_not_let_in(make, repository, remote):
    blob = bytes.fromhex(repository.blob(b"pwn"))
    for name in (b"..", b".git", b"a/b"):
        commit = repository.commit_tree(repository.raw("tree", b"100644 %b\0%b" % (name, blob)))
        error = await refusal(make().code(remote, commit, "."))
        assert error.reason == Reason.UNSAFE_TREE
        assert "git refuses object" in error.message


async def test_names_for_a_shell_are_only_names(make, repository, remote, tmp_path):
    names = [
        "$(touch pwn).yaml",
        ";touch pwn",
        "`touch pwn`",
        "--output=pwn",
        "-rf",
        "a b'\"",
        "*",
        ":(glob)x",
        "!x",
        "^x",
    ]
    attributes = {
        ".gitattributes": b"* filter=pwn diff=pwn export-subst\n",
        ".lfsconfig": b"[lfs]\nurl = https://evil.example\n",
    }
    commit = repository.commit({f"{name}/app.py": b"$Format:%H$" for name in names} | attributes)
    hub = make()
    for name in names:
        assert [e.path for e in (await hub.code(remote, commit, name)).files] == ["app.py"]
    assert len((await hub.code(remote, commit, ".")).files) == len(names) + 2
    path = await hub.archive(remote, commit, ".")
    assert path.read_bytes().count(b"$Format:%H$") == len(names)
    assert not list(tmp_path.rglob("pwn"))


async def test_the_branch_may_move_while_we_work(make, server, repository, remote):
    first = repository.commit({"app.py": b"one"})
    hub = make()
    head = await hub.look(remote, MAIN, max_age=0)
    repository.commit({"app.py": b"two"})
    assert head.commit == first
    assert (await hub.code(remote, head.commit, ".", near=MAIN)).contents["app.py"] == b"one"


async def test_our_own_directories_are_for_nobody_else(make, repository, remote, tmp_path):
    commit = repository.commit({"app.py": b"x"})
    hub = make()
    await hub.archive(remote, commit, ".")
    assert (tmp_path / "git").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "git" / "salt").stat().st_mode & 0o777 == 0o600
    assert not list((tmp_path / "git" / "mirrors").glob("*/app.py"))
    holds_no_secret(" ".join(str(path) for path in (tmp_path / "git").rglob("*")))
