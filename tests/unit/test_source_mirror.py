"""Mirrors over their life: begun, used again after any death, grown, damaged, crowded out, and never in anybody's way."""

import asyncio
import contextlib
import os
import shutil
import sys

import pytest
import pytest_asyncio

from dataapp_operator.api.code import GitRef
from dataapp_operator.api.reasons import Reason
from tests.unit.git_rig import GitServer, git_processes, hub_at, refusal, wait_until

pytestmark = [pytest.mark.git, pytest.mark.asyncio]

MAIN = GitRef(branch="main")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = GitServer(tmp_path_factory.mktemp("server"))
    yield server
    server.close()


@pytest.fixture
def repository(server, tmp_path):
    server.counts.clear()
    yield server.repository(f"{tmp_path.name}.git")
    server.behave()


@pytest.fixture
def remote(server, repository):
    return server.remote(repository.path.name)


@pytest_asyncio.fixture
async def make(tmp_path):
    made = []

    def make(**options):
        made.append(hub_at(tmp_path / "git", **options))
        return made[-1]

    yield make
    for hub in made:
        await hub.close()


@pytest.fixture
def mirrors(tmp_path):
    """What there is on disk."""
    return lambda: sorted((tmp_path / "git" / "mirrors").iterdir())


async def test_a_restart_finds_what_was_there(make, repository, remote):
    commit = repository.commit({"app.py": b"x"})
    await make().code(remote, commit, ".")
    after = make()
    assert (await after.code(remote, commit, ".")).commit == commit
    assert after.fetches == 0


async def test_what_a_killed_process_left_is_swept(make, server, repository, remote, mirrors):
    first = repository.commit({"app.py": b"x"})
    await make().code(remote, first, ".")
    (mirror,) = mirrors()
    left = [mirror / name for name in ("shallow.lock", "packed-refs.lock", "HEAD.lock", "config.lock")]
    left += [
        mirror / "objects/pack" / name for name in ("tmp_pack_x1", "tmp_idx_y2", "pack-1.keep", ".tmp-1-pack-z.pack")
    ]
    second = repository.commit({"app.py": b"y"})
    left.append(mirror / f"refs/src/{second}.lock")
    for path in left:
        path.write_bytes(b"half")
    assert (await make().code(remote, second, ".")).contents["app.py"] == b"y"
    assert not [path for path in left if path.exists()]


async def test_a_mirror_that_was_never_finished_is_begun_again(make, repository, remote, mirrors):
    commit = repository.commit({"app.py": b"x"})
    await make().code(remote, commit, ".")
    (mirror,) = mirrors()
    (mirror / "HEAD").unlink()
    shutil.copytree(mirror, mirror.with_suffix(".new"))
    assert await make().code(remote, commit, ".")
    assert mirrors() == [mirror]


async def test_a_kill_in_the_middle_of_a_fetch_leaves_a_usable_mirror(make, server, repository, remote, tmp_path):
    commit = repository.commit({"app.py": b"x"})
    server.misbehave("slow", "#fetch")
    script = f"""
import asyncio
from pathlib import Path
from dataapp_operator.source.remote import Credential
from tests.unit.git_rig import hub_at, Remote
remote = Remote({remote.url!r}, Credential(ca={remote.credential.ca!r}))
asyncio.run(hub_at(Path({str(tmp_path / "git")!r}), fetch_seconds=3.0).code(remote, {commit!r}, "."))
"""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, env=os.environ | {"PYTHONPATH": "operator:."}
    )
    try:
        assert await asyncio.to_thread(server.arrived.wait, 20)
    finally:
        child.kill()
        await child.wait()
    server.behave()
    assert (await make().code(remote, commit, ".")).commit == commit


@pytest.mark.parametrize("damage", ["pack cut", "all gone", "no refs", "ref to nothing"])
async def test_a_damaged_mirror_is_mended_unseen(make, repository, remote, mirrors, damage):
    commit = repository.commit({"app.py": os.urandom(5000)})
    hub = make()
    before = await hub.code(remote, commit, ".")
    (mirror,) = mirrors()
    match damage:
        case "pack cut":
            (pack,) = (mirror / "objects/pack").glob("*.pack")
            pack.chmod(0o600)
            os.truncate(pack, 100)
        case "all gone":
            shutil.rmtree(mirror)
        case "no refs":
            shutil.rmtree(mirror / "refs")
        case "ref to nothing":
            (mirror / f"refs/src/{commit}").write_text("1" * 40 + "\n")
    assert await hub.code(remote, commit, ".") == before


async def test_a_mirror_that_was_fetched_into_often_is_begun_again(make, repository, remote, mirrors):
    hub = make(packs=1)
    commits = []
    for number in range(3):
        commits.append(repository.commit({"app.py": b"%d" % number}))
        assert (await hub.code(remote, commits[-1], ".")).contents["app.py"] == b"%d" % number
    assert hub.counts.renewed == 1
    (mirror,) = mirrors()
    assert len(list((mirror / "objects/pack").glob("*.pack"))) <= 2
    assert (await hub.code(remote, commits[0], ".")).contents["app.py"] == b"0"


async def test_a_mirror_that_has_grown_is_begun_again(make, repository, remote, monkeypatch):
    monkeypatch.setattr("dataapp_operator.source.mirror._SMALL", 1000)
    hub = make(growth=1)
    for _ in range(3):
        assert await hub.code(remote, repository.commit({"data.bin": os.urandom(10_000)}, fresh=True), ".")
    assert hub.counts.renewed == 1


async def test_what_is_old_makes_room_for_what_is_new(make, repository, remote):
    hub = make(mirror_bytes=200_000)
    for _ in range(3):
        assert await hub.code(remote, repository.commit({"data.bin": os.urandom(140_000)}, fresh=True), ".")
    assert hub.counts.renewed >= 1
    too_much = repository.commit({"data.bin": os.urandom(3_000_000)}, fresh=True)
    error = await refusal(hub.code(remote, too_much, "."))
    assert error.reason == Reason.TOO_LARGE
    assert await hub.code(remote, repository.commit({"data.bin": b"small"}, fresh=True), ".")


async def test_nobody_is_disturbed_while_a_mirror_is_begun_again(make, repository, remote):
    hub = make(packs=1)
    commits = [repository.commit({"app.py": b"%d" % number}) for number in range(3)]

    async def read(number):
        code = await hub.code(remote, commits[number], ".")
        return code.contents["app.py"] == b"%d" % number

    assert all(await asyncio.gather(*(read(number % 3) for number in range(6))))
    assert hub.counts.renewed >= 1


async def test_the_longest_unused_mirror_goes_when_room_is_short(make, server, remote, repository, mirrors):
    hub = make(total_bytes=150_000)
    remotes = []
    for number in range(3):
        other = server.repository(f"{repository.path.stem}-{number}.git")
        commit = other.commit({"data.bin": os.urandom(100_000)})
        remotes.append((server.remote(other.path.name), commit))
        await hub.code(*remotes[-1], ".")
    assert await hub.code(*remotes[-1], ".")
    assert hub.counts.evicted >= 1
    assert len(mirrors()) <= 2
    assert (await hub.code(*remotes[0], ".")).commit == remotes[0][1]


async def test_mirrors_that_nobody_asks_for_any_more_go_after_a_restart(make, repository, remote, mirrors):
    commit = repository.commit({"app.py": b"x"})
    hub = make()
    stranger = hub._shelf._directory / "0123.git"
    (stranger / "objects/pack").mkdir(parents=True)
    os.utime(stranger, (1, 1))
    await hub.code(remote, commit, ".")
    await hub.code(remote, commit, ".")
    assert stranger not in mirrors()


async def test_who_stops_waiting_leaves_no_process_and_stops_nobody_else(make, server, repository, remote):
    commit = repository.commit({"app.py": b"x"})
    hub = make()
    server.misbehave("hang", "#fetch")
    first = asyncio.create_task(hub.code(remote, commit, "."))
    second = asyncio.create_task(hub.code(remote, commit, "."))
    assert await asyncio.to_thread(server.arrived.wait, 10)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    server.behave()
    assert (await second).commit == commit
    assert wait_until(lambda: not git_processes())


@pytest.mark.parametrize("what", ["look", "code"])
async def test_closing_ends_everything(make, server, repository, remote, what):
    commit = repository.commit({"app.py": b"x"})
    hub = make()
    server.misbehave("hang")
    waiting = asyncio.create_task(
        hub.look(remote, MAIN, max_age=0) if what == "look" else hub.code(remote, commit, ".")
    )
    assert await asyncio.to_thread(server.arrived.wait, 10)
    await hub.close()
    assert not git_processes()
    assert "is stopping" in (await refusal(waiting)).message
    assert "is stopping" in (await refusal(hub.look(remote, MAIN, max_age=0))).message


async def test_old_archives_make_room(make, repository, remote):
    commit = repository.commit({"data.bin": os.urandom(20_000)})
    hub = make(archives_bytes=100_000)
    paths = []
    for number in range(4):
        paths.append(await hub.archive(remote, commit, ".", extra={"recipe/x": os.urandom(10_000)}))
        os.utime(paths[-1], (number + 1, number + 1))
    assert [path.exists() for path in paths] == [False, False, False, True]
    error = await refusal(make(archives_bytes=10_000).archive(remote, commit, "."))
    assert error.transient


async def test_a_full_disk_is_not_the_authors_fault(make, repository, remote, monkeypatch):
    commit = repository.commit({"app.py": b"x"})
    hub = make()
    await hub.code(remote, commit, ".")

    def full(*_args, **_options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tarfile.TarFile.addfile", full)
    error = await refusal(hub.archive(remote, commit, "."))
    assert error.transient
    assert "No space left" in error.message
    with contextlib.suppress(FileNotFoundError):
        assert not list((hub._shelf.archives).iterdir())
