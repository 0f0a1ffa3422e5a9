"""Who gets the code of a build: its own pod with its own token, while the build runs; everybody else hears why not.

The code comes out of a real repository behind a real HTTPS server, through the operator's own web server.
"""

import asyncio
import base64
import io
import tarfile

import aiohttp
import pytest
import pytest_asyncio

from dataapp_operator.build.recipes import RECIPES, render
from dataapp_operator.control.build_archives import BuildArchives
from dataapp_operator.kube.errors import Transient
from dataapp_operator.kube.kinds import APPBUILD, JOB, SECRET
from dataapp_operator.kube.store import Store
from dataapp_operator.source.remote import Credential
from dataapp_operator.web import archives as web_archives
from dataapp_operator.web.archives import ArchiveServer, NoCodeError, NotNowError
from tests.unit.build_rig import BUILDS, KEY, SETTINGS, Builds, appbuild
from tests.unit.git_rig import GitServer, hub_at

pytestmark = [pytest.mark.git, pytest.mark.asyncio]

FILES = {
    "apps/sales/app.py": b"import streamlit\n",
    "apps/sales/requirements.txt": b"streamlit==1.67.0\n",
    "apps/sales/dataapp.yaml": b"kind: DataApp\n",
    "apps/other/secret.txt": b"not for sales\n",
}
RECIPE = f"streamlit/{RECIPES['streamlit']}"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    made = GitServer(tmp_path_factory.mktemp("git"))
    made.users["private.git"] = "reader:s3cret"
    yield made
    made.close()


@pytest.fixture(scope="module")
def commit(server):
    return {name: server.repository(name).commit(FILES) for name in ("apps.git", "private.git")}


class Rig:
    """A build that runs, the archives, and the server in front of them."""

    def __init__(self, server, hub, commit, repository="apps.git", **source):
        self.git, self.hub = server, hub
        where = {"url": server.url(repository), "path": "apps/sales", "manifest": "apps/sales/dataapp.yaml"} | source
        self.builds = Builds(appbuild(commit=commit[repository], source=where, recipe=RECIPE))
        self.secrets = []
        self.now = 0.0
        self.open()

    def open(self):
        """As a process begins: with nothing in memory."""
        self.archives = BuildArchives(
            cluster=self.builds.cluster,
            store=self.builds.store,
            settings=SETTINGS,
            packer=self.hub,
            credential=self.credential,
            render=render,
            clock=lambda: self.now,
        )
        self.server = ArchiveServer(self.archives, host="127.0.0.1", port=0)

    async def credential(self, namespace, name):
        self.secrets.append((namespace, name))
        return Credential(ca=self.git.ca, username="reader", password="s3cret") if name else Credential(ca=self.git.ca)

    @property
    def token(self):
        return base64.b64decode(self.builds.secrets()[0]["data"]["token"]).decode()

    @property
    def reads(self):
        return sum(call.startswith("get Secret") for call in self.builds.cluster.calls)

    async def ask(self, token=None, *, build=KEY, method="GET", path=None, authorization=None):
        headers = {"Authorization": authorization or f"Bearer {token}"} if token or authorization else {}
        where = path or f"/builds/{build[0]}/{build[1]}/context.tar"
        url = aiohttp.client.URL(f"http://127.0.0.1:{self.port}{where}", encoded=True)
        async with aiohttp.ClientSession() as session, session.request(method, url, headers=headers) as answer:
            return answer.status, await answer.read()

    async def start(self):
        self.port = await self.server.start()
        return self

    async def stop(self):
        await self.server.stop()
        await self.archives.close()


@pytest_asyncio.fixture
async def rig(server, commit, tmp_path):
    hub = hub_at(tmp_path / "hub")
    made = Rig(server, hub, commit)
    await made.builds.settle()
    await made.start()
    yield made
    await made.stop()
    await hub.close()
    server.behave()


def members(body):
    with tarfile.open(fileobj=io.BytesIO(body)) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar}


async def test_the_builds_own_token_gets_the_apps_code_and_its_recipe(rig):
    status, body = await rig.ask(rig.token)
    assert status == 200
    found = members(body)
    assert {name for name in found if name.startswith("context/")} == {"context/app.py", "context/requirements.txt"}
    assert found["context/app.py"] == FILES["apps/sales/app.py"]
    assert found["recipe/Dockerfile"].startswith(b"#")


@pytest.mark.parametrize(
    "authorization",
    [None, "Bearer ", "Bearer wrong", "Basic dG9rZW4=", "Bearer " + "x" * 5000, "bearer \u00e4\u00f6", "Bearer 0"],
)
async def test_without_the_right_token_nobody_gets_anything(rig, authorization):
    status, body = await rig.ask(authorization=authorization)
    assert status == 403
    assert b"for that build's own pod" in body
    assert rig.git.counts["fetch"] == 0 or not rig.hub.fetches


async def test_an_unknown_build_is_answered_like_a_wrong_token(rig):
    wrong = await rig.ask("wrong")
    assert await rig.ask(rig.token, build=("analytics", "nothing")) == wrong
    assert await rig.ask(rig.token, build=("other", KEY[1])) == wrong


async def test_strangers_cost_the_cluster_nothing(rig):
    for n in range(20):
        assert (await rig.ask("x", build=("analytics", f"guess-{n}")))[0] == 403
    assert rig.reads == 0
    assert len({await rig.ask("wrong") for _ in range(20)}) == 1
    assert rig.reads == 1
    rig.now += 6
    await rig.ask("wrong")
    assert rig.reads == 2


async def test_a_token_is_good_after_a_restart_of_the_operator(rig):
    token = rig.token
    await rig.stop()
    rig.builds.restart()
    rig.open()
    await rig.start()
    assert (await rig.ask(token))[0] == 200


async def test_a_token_ends_with_its_build_at_once(rig):
    token = rig.token
    assert (await rig.ask(token))[0] == 200
    [job] = rig.builds.jobs()
    rig.builds.succeed(job)
    assert (await rig.ask(token))[0] == 403, "the Job has ended, though its Secret is there"
    await rig.builds.settle()
    assert (await rig.ask(token))[0] == 403


async def test_the_token_of_one_attempt_is_not_good_for_the_next(rig):
    token = rig.token
    rig.builds.fail(rig.builds.jobs()[0], "BuildKilled")
    await rig.builds.settle()
    assert (await rig.ask(token))[0] == 403
    rig.builds.later(11)
    await rig.builds.settle()
    assert rig.builds.status()["attempts"] == 2
    assert (await rig.ask(token))[0] == 403
    assert (await rig.ask(rig.token))[0] == 200


async def test_a_secret_that_is_not_the_jobs_own_opens_nothing(rig):
    [secret] = rig.builds.secrets()
    token = rig.token
    rig.builds.cluster.put(secret | {"metadata": secret["metadata"] | {"ownerReferences": []}})
    assert (await rig.ask(token))[0] == 403


async def test_a_secret_that_comes_late_is_not_overlooked(rig):
    [secret] = rig.builds.secrets()
    token = rig.token
    rig.builds.cluster.pop(SECRET, BUILDS, secret["metadata"]["name"])
    assert (await rig.ask(token))[0] == 403
    rig.builds.cluster.put(secret)
    assert (await rig.ask(token))[0] == 200


@pytest.mark.parametrize(("method", "says"), [("HEAD", 405), ("POST", 405), ("DELETE", 405)])
async def test_there_is_nothing_but_get(rig, method, says):
    assert (await rig.ask(rig.token, method=method))[0] == says


@pytest.mark.parametrize(
    "path",
    [
        "/builds/analytics/../../etc/passwd",
        "/builds/analytics/%2e%2e/context.tar",
        "/builds/..%2f..%2fetc/passwd/context.tar",
        "/builds/analytics/sales%00/context.tar",
        "/builds//sales/context.tar",
        "/",
        "/builds/analytics/sales-3f7a91c2/",
        "//etc/passwd",
    ],
)
async def test_no_path_leads_to_a_file(rig, path):
    status, body = await rig.ask(rig.token, path=path)
    assert status in {400, 403, 404}
    assert b"root:" not in body


async def test_before_the_first_listing_nobody_is_turned_away(rig):
    rig.builds.store = Store({APPBUILD: dict, JOB: dict})
    await rig.stop()
    rig.open()
    await rig.start()
    status, body = await rig.ask("any")
    assert status == 503
    assert b"has just started" in body


async def test_a_cluster_that_does_not_answer_is_no_refusal(rig):
    def fail(verb, kind, _name, _when):
        if (verb, kind) == ("get", "Secret"):
            raise Transient("timeout")

    rig.builds.cluster.fault = fail
    status, body = await rig.ask(rig.token)
    assert (status, b"does not answer the operator" in body) == (503, True)
    rig.builds.cluster.fault = lambda *_: None
    assert (await rig.ask(rig.token))[0] == 200


async def test_a_git_server_in_trouble_is_said_and_tried_again(rig):
    rig.git.misbehave(503)
    status, body = await rig.ask(rig.token)
    assert status == 503
    assert b"cannot be served now" in body
    rig.git.behave()
    assert (await rig.ask(rig.token))[0] == 200


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"commit": "0" * 40}, b"gone"),
        ({"recipe": "streamlit/999"}, b"there is no recipe streamlit/999"),
        ({"source": {"url": "https://127.0.0.1/x.git", "path": "."}}, b"gone"),
    ],
)
async def test_code_that_is_not_there_is_404_with_the_reason(server, commit, tmp_path, change, says):
    hub = hub_at(tmp_path / "hub")
    made = Rig(server, hub, commit)
    manifest = made.builds.get(APPBUILD, KEY[1], KEY[0])
    made.builds.cluster.put(manifest | {"spec": manifest["spec"] | change})
    await made.builds.settle()
    await made.start()
    status, body = await made.ask(made.token)
    assert (status, says in body) == (404, True), body
    await made.stop()
    await hub.close()


async def test_the_repositorys_own_secret_is_read_in_the_builds_namespace(server, commit, tmp_path):
    hub = hub_at(tmp_path / "hub")
    made = Rig(server, hub, commit, "private.git", secretRef={"name": "git"})
    await made.builds.settle()
    await made.start()
    assert (await made.ask(made.token))[0] == 200
    assert made.secrets == [("analytics", "git")]
    await made.stop()
    await hub.close()


async def test_an_archive_that_was_lost_is_made_again(rig):
    first = (await rig.ask(rig.token))[1]
    path = await rig.archives.archive(*KEY)
    path.unlink()
    assert (await rig.ask(rig.token))[1] == first


async def test_many_who_ask_at_once_share_one_packing(rig):
    token = rig.token
    started = rig.hub.fetches
    answers = await asyncio.gather(*(rig.ask(token) for _ in range(3)))
    assert {status for status, _ in answers} == {200}
    assert len({body for _, body in answers}) == 1
    assert rig.hub.fetches == started + 1


class Slow:
    """Archives that are made by hand."""

    def __init__(self, *paths):
        self.paths = list(paths)
        self.error = None

    async def admits(self, _namespace, _build, _token):
        if self.error:
            raise self.error
        return True

    async def archive(self, _namespace, _build):
        return self.paths.pop(0) if len(self.paths) > 1 else self.paths[0]


async def asked(slow, *, count=1):
    async with ArchiveServer(slow, host="127.0.0.1", port=0) as server:
        port = server._runner.addresses[0][1]
        async with aiohttp.ClientSession(headers={"Authorization": "Bearer x"}) as session:

            async def one():
                async with session.get(f"http://127.0.0.1:{port}/builds/a/b/context.tar") as answer:
                    return answer.status, await answer.read(), answer.headers

            return await asyncio.gather(*(one() for _ in range(count)))


async def test_a_file_that_vanishes_before_it_is_opened_is_asked_for_once_more(tmp_path):
    there = tmp_path / "there.tar"
    there.write_bytes(b"x" * 1_000_000)
    [(status, body, headers)] = await asked(Slow(tmp_path / "gone.tar", there))
    assert (status, len(body), headers["Content-Length"]) == (200, 1_000_000, "1000000")
    [(status, body, headers)] = await asked(Slow(tmp_path / "gone.tar"))
    assert (status, headers["Retry-After"]) == (503, "2")


async def test_a_build_cannot_keep_the_server_busy(tmp_path, monkeypatch):
    there = tmp_path / "there.tar"
    there.write_bytes(b"x" * 50_000_000)
    monkeypatch.setattr(web_archives, "_AT_ONCE", 1)
    answers = await asked(Slow(there), count=3)
    assert sorted({status for status, *_ in answers}) == [200, 503]


@pytest.mark.parametrize(
    ("error", "status"), [(NotNowError("later"), 503), (NoCodeError("lost"), 404), (ValueError("x"), 503)]
)
async def test_each_trouble_has_its_answer_in_words(tmp_path, error, status, caplog):
    slow = Slow(tmp_path / "x")
    slow.error = error
    [(got, body, _)] = await asked(slow)
    assert (got, b"Traceback" in body, len(body) > 20) == (status, False, True)
    assert bool(caplog.records) == isinstance(error, ValueError)
