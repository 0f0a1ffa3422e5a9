"""What reconcilers ask of git, answered from a real server, and at what price."""

import asyncio
import hashlib
import re
import tarfile
import time
from datetime import UTC, datetime

import pytest
import pytest_asyncio

from dataapp_operator.api.code import GitRef
from dataapp_operator.api.reasons import Reason
from dataapp_operator.source.hosts import HostPolicy
from tests.unit.git_rig import HOST, GitServer, git, hub_at, refusal

pytestmark = [pytest.mark.git, pytest.mark.asyncio(loop_scope="module")]

MAIN = GitRef(branch="main")
SALES = {
    "apps/sales/dataapp.yaml": b"kind: DataApp\n",
    "apps/sales/app.py": b"import streamlit\n",
    "apps/sales/requirements.txt": b"streamlit==1.40\n",
    "apps/sales/data/a.bin": bytes(range(256)),
    "apps/sales/lib/deep/er/x.py": b"x = 1\n",
    "apps/hr/dataapp.yaml": b"kind: DataApp\n",
    "apps/hr/app.R": b"library(shiny)\n",
    "shared/util.py": b"u = 1\n",
    "shared/more/v.py": b"v = 1\n",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = GitServer(tmp_path_factory.mktemp("server"))
    yield server
    server.close()


@pytest.fixture
def repository(server, request):
    server.behave()
    server.users.clear()
    server.protocol = True
    server.counts.clear()
    server.seen.clear()
    return server.repository(re.sub(r"\W", "-", request.node.name) + ".git")


@pytest.fixture
def remote(server, repository):
    return server.remote(repository.path.name)


@pytest_asyncio.fixture(loop_scope="module")
async def hub(tmp_path):
    hub = hub_at(tmp_path / "git")
    yield hub
    await hub.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shelf(server, tmp_path_factory):
    """A repository that is only read, by one hub: what it is asked with, up to the path."""
    repository = server.repository("shelf.git")
    commit = repository.commit(
        SALES
        | {"lnk": ("120000", b"apps"), "sub": ("160000", "1" * 40), "bad/x": ("120000", b"/etc/passwd")}
        | {"apps/clash/shared/util.py": b"other", "apps/clash2/shared": b"a file", "dataapp.yaml": b"top"}
        | {"run/run.sh": ("100755", b"#!/bin/sh\n"), "run/Größe.txt": b"x", "run/data/a.bin": bytes(range(256))}
    )
    hub = hub_at(tmp_path_factory.mktemp("shelf") / "git")
    yield hub, server.remote("shelf.git"), commit
    await hub.close()


async def test_a_ref_is_looked_up_by_every_way_to_name_it(hub, server, repository, remote):
    first = repository.commit(SALES)
    repository.tag("v1", first)
    repository.tag("v2", first, annotated=True)
    newest = repository.commit({"x": b"1"})
    git("update-ref", "refs/pull/7/head", first, at=repository.path)

    async def look(**ref):
        return await hub.look(remote, GitRef(**ref), max_age=0)

    assert (await look()).revision == f"main@sha1:{newest}"
    assert (await look(branch="main")).revision == f"main@sha1:{newest}"
    assert (await look(tag="v1")).revision == f"v1@sha1:{first}"
    assert (await look(tag="v2")).commit == first
    assert (await look(name="refs/pull/7/head")).revision == f"refs/pull/7/head@sha1:{first}"
    assert hub.fetches == 0
    assert (await look(commit=first)).revision == f"sha1:{first}"
    assert hub.fetches == 1


async def test_tags_come_with_the_look_up_when_they_are_asked_for(hub, repository, remote):
    first = repository.commit(SALES)
    newest = repository.commit({"x": b"1"})
    repository.tag("v1", first, annotated=True)
    repository.tag("v2", newest)
    assert (await hub.look(remote, MAIN, max_age=0)).tags == ()
    head = await hub.look(remote, MAIN, max_age=0, tags=True)
    assert (head.commit, dict(head.tags)) == (newest, {"v1": first, "v2": newest})
    head = await hub.look(remote, GitRef(commit=first), max_age=0, tags=True)
    assert (head.commit, dict(head.tags)) == (first, {"v1": first, "v2": newest})


async def test_a_hundred_objects_of_one_repository_cost_one_look_up_and_one_fetch(hub, server, repository, remote):
    commit = repository.commit(SALES)
    heads = await asyncio.gather(*(hub.look(remote, MAIN, max_age=0) for _ in range(100)))
    assert {head.commit for head in heads} == {commit}
    assert (hub.lookups, server.looks) == (1, 1)
    codes = await asyncio.gather(*(hub.code(remote, commit, "apps/sales") for _ in range(20)))
    assert len({code.tree for code in codes}) == 1
    assert (hub.fetches, server.packs) == (1, 1)


async def test_an_answer_is_given_again_while_it_is_young_enough_for_who_asks(hub, repository, remote):
    old = repository.commit(SALES)
    assert (await hub.look(remote, MAIN, max_age=0)).commit == old
    new = repository.commit({"x": b"1"})
    assert (await hub.look(remote, MAIN, max_age=60)).commit == old
    assert hub.lookups == 1
    await asyncio.sleep(0.02)
    assert (await hub.look(remote, MAIN, max_age=0.01)).commit == new
    assert hub.lookups == 2


async def test_who_asks_for_what_is_newest_never_gets_an_answer_from_before(hub, server, repository, remote):
    old = repository.commit(SALES)
    server.misbehave("hang", "#ls-refs")
    early = asyncio.create_task(hub.look(remote, MAIN, max_age=0))
    await asyncio.to_thread(server.arrived.wait, 5)
    new = repository.commit({"x": b"1"})
    late = asyncio.create_task(hub.look(remote, MAIN, max_age=0))
    await asyncio.sleep(0.05)
    server.behave()
    await asyncio.gather(early, return_exceptions=True)
    assert (await late).commit == new != old


async def test_look_ups_with_different_credentials_are_not_shared(hub, server, repository, remote):
    commit = repository.commit(SALES)
    server.users[repository.path.name] = "ada:pw"
    mine = server.remote(repository.path.name, username="ada", password="pw")
    theirs = server.remote(repository.path.name, username="eve", password="guess")
    assert (await hub.look(mine, MAIN, max_age=60)).commit == commit
    assert await hub.code(mine, commit, "apps/sales")
    others = (
        hub.look(theirs, MAIN, max_age=60),
        hub.code(theirs, commit, "apps/sales"),
        hub.look(remote, MAIN, max_age=60),
    )
    for awaitable in others:
        assert (await refusal(awaitable)).reason == Reason.AUTHENTICATION_FAILED


@pytest.mark.parametrize("given", [{"username": "ada", "password": 'p\\w"#;x'}, {"bearer_token": "tok-123"}])
async def test_a_credential_is_sent_to_its_own_address_only(hub, server, repository, given):
    commit = repository.commit(SALES)
    server.users[repository.path.name] = "Bearer tok-123" if "bearer_token" in given else 'ada:p\\w"#;x'
    remote = server.remote(repository.path.name, **given)
    assert (await hub.look(remote, MAIN, max_age=0)).commit == commit
    assert (await hub.code(remote, commit, "apps/sales")).commit == commit
    assert all(sent == remote.credential.header for _, sent in server.seen)


async def test_manifests_are_found_by_patterns_and_read(shelf):
    hub, remote, commit = shelf
    found = await hub.files(remote, commit, ["apps/*/dataapp.yaml"])
    assert [entry.path for entry in found] == ["apps/hr/dataapp.yaml", "apps/sales/dataapp.yaml"]
    assert found[0].size == len(SALES["apps/hr/dataapp.yaml"])
    assert await hub.read(remote, commit, found, max_bytes=1000) == {e.path: SALES[e.path] for e in found}
    every = await hub.files(remote, commit, ["**/dataapp.yaml"])
    assert [entry.path for entry in every] == [*(e.path for e in found), "dataapp.yaml"]
    assert [e.regular for e in await hub.files(remote, commit, ["bad/*"])] == [False]
    assert await hub.files(remote, commit, ["nowhere/*"]) == ()
    assert await hub.files(remote, commit, []) == ()
    assert await hub.read(remote, commit, (), max_bytes=1) == {}


async def test_the_code_of_an_app_is_its_files_without_its_manifest(shelf):
    hub, remote, commit = shelf
    code = await hub.code(remote, commit, "apps/sales", manifest="apps/sales/dataapp.yaml", near=MAIN)
    assert [e.path for e in code.files] == ["app.py", "data/a.bin", "lib/deep/er/x.py", "requirements.txt"]
    assert code.contents == {"app.py": b"import streamlit\n", "requirements.txt": b"streamlit==1.40\n"}
    assert code.committed_at == datetime.fromtimestamp(1_750_000_060, UTC)
    lines = sorted(f"100644 {e.oid} {e.path}\n" for e in code.files)
    assert code.tree == hashlib.sha1("".join(lines).encode()).hexdigest()


async def test_what_is_included_keeps_its_own_name(shelf):
    hub, remote, commit = shelf
    code = await hub.code(remote, commit, "apps/hr", ["shared", "apps/sales/app.py", "apps/hr/app.R"])
    assert [e.path for e in code.files] == [
        "app.R",
        "apps/sales/app.py",
        "dataapp.yaml",
        "shared/more/v.py",
        "shared/util.py",
    ]
    assert code.contents["shared/util.py"] == b"u = 1\n"
    inner = await hub.code(remote, commit, "apps/sales", ["apps/sales/lib"])
    assert inner == await hub.code(remote, commit, "apps/sales")


async def test_two_files_of_one_name_are_refused(shelf):
    hub, remote, commit = shelf
    for app in ("apps/clash", "apps/clash2"):
        error = await refusal(hub.code(remote, commit, app, ["shared"]))
        assert error.reason == Reason.INVALID_SPEC
        assert "in the image" in error.message


async def test_a_key_changes_with_the_code_and_with_nothing_else(hub, repository, remote):
    async def keys(commit):
        found, bad = await hub.trees(remote, commit, places)
        assert not bad
        return [found[place] for place in places]

    places = [
        ("apps/sales", (), "apps/sales/dataapp.yaml"),
        ("apps/hr", ("shared",), "apps/hr/dataapp.yaml"),
        ("apps/hr", (), None),
    ]
    before = await keys(repository.commit(SALES))
    assert await keys(repository.commit({"apps/sales/dataapp.yaml": b"changed", "other/x": b"1"})) == before
    after = await keys(repository.commit({"shared/util.py": b"changed"}))
    assert [a == b for a, b in zip(after, before, strict=True)] == [True, False, True]
    again = await keys(repository.commit({"apps/sales/app.py": ("100755", SALES["apps/sales/app.py"])}))
    assert [a == b for a, b in zip(again, after, strict=True)] == [False, True, True]
    code = await hub.code(remote, repository.head(), *places[1][:2], manifest=places[1][2])
    assert code.tree == again[1]


async def test_one_bad_place_does_not_spoil_the_others(shelf):
    hub, remote, commit = shelf
    places = [(path, (), None) for path in ("apps/sales", "bad", "apps/slaes", "../x")]
    places.append(("apps/hr", ("nope",), None))
    found, bad = await hub.trees(remote, commit, places)
    assert set(found) == {places[0]}
    assert [bad[place].reason for place in places[1:]] == [
        Reason.UNSAFE_TREE,
        Reason.PATH_MISSING,
        Reason.INVALID_SPEC,
        Reason.PATH_MISSING,
    ]


async def test_many_apps_are_read_from_one_listing(hub, repository, remote):
    commit = repository.commit({f"apps/a{n}/{f}": b"%d" % n for n in range(100) for f in ("app.py", "dataapp.yaml")})
    places = [(f"apps/a{n}", (), f"apps/a{n}/dataapp.yaml") for n in range(100)]
    await hub.trees(remote, commit, places[:1])
    started = hub.runner.started
    found, bad = await hub.trees(remote, commit, places)
    assert (len(found), bad, hub.runner.started) == (100, {}, started + 1)


async def test_an_archive_holds_the_very_files_and_is_the_same_each_time(shelf):
    hub, remote, commit = shelf
    extra = {"recipe/Dockerfile": b"FROM scratch\n"}
    arguments = (remote, commit, "run", ["shared"])
    path = await hub.archive(*arguments, manifest="shared/util.py", extra=extra)
    content = path.read_bytes()
    code = await hub.code(*arguments, manifest="shared/util.py")
    with tarfile.open(path) as tar:
        members = {member.name: member for member in tar}
        assert set(members) == {"recipe/Dockerfile", *(f"context/{e.path}" for e in code.files)}
        assert tar.extractfile("context/data/a.bin").read() == bytes(range(256))
        assert tar.extractfile("recipe/Dockerfile").read() == b"FROM scratch\n"
    assert members["context/run.sh"].mode == 0o755
    assert members["context/Größe.txt"].mode == 0o644
    assert {(m.uid, m.gid, m.uname, m.mtime) for m in members.values()} == {(0, 0, "", 946_684_800)}
    assert all(member.isreg() for member in members.values())
    path.unlink()
    again = await hub.archive(*arguments, manifest="shared/util.py", extra=extra)
    assert again.read_bytes() == content
    other = await hub.archive(*arguments, manifest="shared/util.py", extra={"recipe/Dockerfile": b"FROM x\n"})
    assert other != again
    assert (await refusal(hub.archive(*arguments, extra={"../x": b""}))).reason == Reason.INVALID_SPEC


async def test_what_is_missing_is_said_with_what_is_there(shelf):
    hub, remote, commit = shelf

    async def said(path, include=()):
        error = await refusal(hub.code(remote, commit, path, include))
        return error.reason, error.message

    reason, message = await said("apps/slaes")
    assert reason == Reason.PATH_MISSING
    assert f"is not in the repository at commit {commit[:12]}: the directories in apps are sales" in message
    assert "at its top are apps, bad, run, shared" in (await said("zzz"))[1]
    assert "apps/sales/app.py is a file" in (await said("apps/sales/app.py"))[1]
    assert "include shraed" in (await said("apps/hr", ["shraed"]))[1]
    where = f"the repository at commit {commit[:12]}"
    assert await said("lnk/sales") == (
        Reason.UNSAFE_TREE,
        f"path lnk/sales leads through lnk, which is a symbolic link in {where} and is not followed",
    )
    reason, message = await said("sub")
    assert (reason, "a submodule" in message) == (Reason.UNSAFE_TREE, True)


async def test_a_missing_branch_is_said_with_those_like_it(hub, repository, remote):
    commit = repository.commit(SALES)
    for branch in ("release-1", "release-2", "dev"):
        git("update-ref", f"refs/heads/{branch}", commit, at=repository.path)
    repository.tag("v1", commit)

    async def said(**ref):
        error = await refusal(hub.look(remote, GitRef(**ref), max_age=0))
        assert error.reason == Reason.REF_NOT_FOUND
        return error.message

    assert "release-2, release-1" in await said(branch="relaese-2")
    assert "dev, main, release-1, release-2" in await said(branch="zzzzz")
    assert "use ref.tag" in await said(branch="v1")
    assert "use ref.branch" in await said(tag="dev")
    assert "it has the tag v1" in await said(tag="v11")


async def test_an_empty_repository_is_not_a_missing_branch(hub, repository, remote):
    for ref in (GitRef(), MAIN, GitRef(tag="v1")):
        error = await refusal(hub.look(remote, ref, max_age=0))
        assert error.reason == Reason.EMPTY_SOURCE
        assert "is empty" in error.message


async def test_a_repository_whose_default_branch_is_gone_says_so(hub, repository, remote):
    repository.commit(SALES, branch="dev")
    error = await refusal(hub.look(remote, GitRef(), max_age=0))
    assert error.reason == Reason.REF_NOT_FOUND
    assert "it has dev" in error.message


async def test_work_goes_on_with_the_commit_that_was_looked_up(hub, repository, remote):
    repository.commit(SALES)
    commit = (await hub.look(remote, MAIN, max_age=0)).commit
    repository.commit({"apps/sales/app.py": b"other"})
    code = await hub.code(remote, commit, "apps/sales", near=MAIN)
    assert code.contents["app.py"] == SALES["apps/sales/app.py"]


async def test_a_commit_that_was_rewritten_away_is_said_to_be(hub, repository, remote):
    gone = repository.commit(SALES)
    repository.commit({"x": b"1"}, orphan=True)
    git("reflog", "expire", "--expire=now", "--all", at=repository.path)
    git("gc", "--quiet", "--prune=now", at=repository.path)
    for awaitable in (
        hub.code(remote, gone, "apps/sales", near=MAIN),
        hub.look(remote, GitRef(commit=gone), max_age=0),
    ):
        error = await refusal(awaitable)
        assert error.reason == Reason.COMMIT_MISSING
        assert "force-push" in error.message


async def test_a_server_that_gives_no_commit_by_its_id_gives_the_tip_of_a_branch(hub, server, repository, remote):
    old = repository.commit(SALES)
    tip = repository.commit({"x": b"1"})
    server.protocol = False
    assert (await hub.code(remote, tip, "apps/sales", near=MAIN)).commit == tip
    assert (await refusal(hub.code(remote, old, "apps/sales", near=MAIN))).reason == Reason.COMMIT_MISSING


async def test_a_host_that_is_not_allowed_is_not_asked(server, repository, tmp_path):
    commit = repository.commit(SALES)
    hub = hub_at(tmp_path / "git", policy=HostPolicy())
    remote = server.remote(repository.path.name)
    for awaitable in (hub.look(remote, MAIN, max_age=0), hub.code(remote, commit, "apps/sales")):
        assert (await refusal(awaitable)).reason == Reason.HOST_NOT_ALLOWED
    assert (hub.runner.started, server.counts.total()) == (0, 0)
    await hub.close()


async def test_bad_input_starts_no_process(hub, repository, remote):
    bad = GitRef.model_construct(branch="--upload-pack=x", tag=None, commit=None, name=None)
    commit = repository.commit(SALES)
    for awaitable in (
        hub.look(remote, bad, max_age=0),
        hub.code(remote, "HEAD", "apps"),
        hub.code(remote, "--output=x", "apps"),
        hub.code(remote, commit, "../x"),
        hub.code(remote, commit, "apps", ["/etc"]),
        hub.code(remote, commit, "apps", manifest="../x"),
        hub.files(remote, commit, ["../*"]),
        hub.archive(remote, commit, ".git"),
    ):
        assert (await refusal(awaitable)).reason == Reason.INVALID_SPEC
    assert hub.runner.started == 0


async def test_the_pinned_address_is_the_one_that_is_asked(server, repository, tmp_path):
    """The name is in no DNS, so an answer shows that git took ours; and it takes it at the moment of asking."""
    repository.commit(SALES)
    asked = []

    async def resolve(host, port):
        asked.append((host, port))
        return ["127.0.0.1"] if len(asked) == 1 else ["169.254.169.254"]

    hub = hub_at(tmp_path / "git", resolve=resolve)
    remote = server.remote(repository.path.name)
    await hub.look(remote, MAIN, max_age=0)
    assert asked == [(HOST, server.port)]
    assert (await refusal(hub.look(remote, MAIN, max_age=0))).reason == Reason.HOST_NOT_ALLOWED
    await hub.close()


async def test_failures_are_shared_for_a_moment_too(server, repository, tmp_path):
    commit = repository.commit(SALES)
    hub = hub_at(tmp_path / "git", failure_seconds=60)
    remote = server.remote(repository.path.name)
    server.misbehave(503)
    looks = [refusal(hub.look(remote, MAIN, max_age=60)) for _ in range(20)]
    reads = [refusal(hub.code(remote, commit, "apps/sales")) for _ in range(20)]
    errors = await asyncio.gather(*looks, *reads)
    assert {error.reason for error in errors} == {Reason.GIT_UNREACHABLE}
    assert (hub.lookups, hub.fetches) == (1, 1)
    server.behave()
    assert (await hub.look(remote, MAIN, max_age=0)).commit == commit
    await hub.close()


async def test_a_look_that_finds_nothing_new_is_quick(hub, repository, remote):
    repository.commit(SALES)
    await hub.look(remote, MAIN, max_age=0)
    began = time.monotonic()
    await hub.look(remote, MAIN, max_age=0)
    assert time.monotonic() - began < 5
