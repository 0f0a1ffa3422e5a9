"""What a client does when the server, or something in between, does not behave: a server of ours injects the faults.

How a real API server answers is tested in tests/apiserver.
"""

import asyncio
import json
from pathlib import Path

import pytest
import pytest_asyncio
import yaml
from aiohttp import web

from dataapp_operator.kube.client import ApiCluster
from dataapp_operator.kube.errors import LeaseLost, NotServed, Rejected, Transient
from dataapp_operator.kube.kinds import POD
from dataapp_operator.kube.transport import Transport

pytestmark = pytest.mark.asyncio

POD_MANIFEST = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "ns"}}


class Server:
    """Answers each request with the next of `answers`: a response, or a coroutine function that makes one."""

    def __init__(self):
        self.answers = []
        self.requests = []
        self.calls = []

    async def handle(self, request):
        self.requests.append((request.method, request.path, dict(request.query), dict(request.headers)))
        answer = self.answers.pop(0)
        return await answer(request) if callable(answer) else answer


@pytest_asyncio.fixture
async def server():
    server = Server()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", server.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)  # a request that hangs need not end
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.port = runner.addresses[0][1]
    yield server
    await runner.cleanup()


@pytest.fixture
def kubeconfig(server, tmp_path):
    return write_kubeconfig(tmp_path / "kubeconfig", f"http://127.0.0.1:{server.port}", secret="first")


def write_kubeconfig(path, address, *, secret):
    config = {
        "clusters": [{"name": "c", "cluster": {"server": address}}],
        "users": [{"name": "u", "user": {"token": secret}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return str(path)


@pytest_asyncio.fixture
async def cluster(server, kubeconfig):
    note = server.calls.append
    async with await Transport.open(kubeconfig=kubeconfig, on_call=lambda *call: note(call)) as transport:
        yield ApiCluster(transport, guard=lambda: None, write_seconds=0.3)


def status(code, message="", reason="", **headers):
    body = {"kind": "Status", "message": message, "reason": reason, "details": {"name": "p"}}
    return web.json_response(body, status=code, headers=headers)


async def test_a_write_that_takes_too_long_is_transient_and_the_server_knew_the_limit(server, cluster):
    async def hang(request):
        await asyncio.sleep(5)
        return status(200)

    server.answers = [hang]
    with pytest.raises(Transient, match=r"did not answer within 0\.3 s"):
        await cluster.apply(POD_MANIFEST)
    query = server.requests[0][2]
    assert query == {
        "timeout": "0.3s",
        "fieldManager": "dataapp-operator",
        "fieldValidation": "Strict",
        "force": "true",
    }
    assert server.calls == [("apply", "pods", "timeout")]


async def test_an_answer_that_stops_in_the_middle_is_transient(server, cluster):
    async def cut(request):
        response = web.StreamResponse(headers={"Content-Length": "100"})
        await response.prepare(request)
        await response.write(b'{"kind":')
        request.transport.abort()
        return response

    server.answers = [cut]
    with pytest.raises(Transient, match="cannot be reached"):
        await cluster.get(POD, "ns", "p")
    assert server.calls == [("get", "pods", "unreachable")]


async def test_a_server_that_is_down_is_transient(tmp_path):
    path = write_kubeconfig(tmp_path / "kubeconfig", "http://127.0.0.1:1", secret="t")
    async with await Transport.open(kubeconfig=path) as transport:
        with pytest.raises(Transient, match="cannot be reached"):
            await ApiCluster(transport, guard=lambda: None).get(POD, "ns", "p")


async def test_too_many_requests_says_how_long_to_wait(server, cluster):
    server.answers = [status(429, "slow down", **{"Retry-After": "4"})]
    with pytest.raises(Transient) as caught:
        await cluster.apply(POD_MANIFEST)
    assert caught.value.retry_after == 4
    assert len(server.requests) == 1, "the queue retries, not the client"


async def test_a_page_of_a_proxy_is_transient_whatever_its_code(server, cluster):
    server.answers = [web.Response(text="<html>welcome</html>"), web.Response(status=502, text="<html>bad</html>")]
    for _ in range(2):
        with pytest.raises(Transient):
            await cluster.get(POD, "ns", "p")


def page(*names, version="9", more=""):
    items = [{"metadata": {"name": name, "resourceVersion": "3"}} for name in names]
    return web.json_response({"metadata": {"resourceVersion": version, "continue": more}, "items": items})


async def test_a_list_whose_next_page_expired_starts_again(server, cluster):
    server.answers = [page("a", more="m"), status(410, reason="Expired"), page("a", more="n"), page("b")]
    listing = await cluster.list(POD, label_selector="x=y")
    assert [item["metadata"]["name"] for item in listing.items] == ["a", "b"]
    assert listing.resource_version == 9
    queries = [query for _, _, query, _ in server.requests]
    first = {"limit": "500", "labelSelector": "x=y"}
    assert queries == [first, first | {"continue": "m"}, first, first | {"continue": "n"}]


async def test_a_list_that_expires_each_time_gives_up(server, cluster):
    for _ in range(3):
        server.answers += [page("a", more="m"), status(410, reason="Expired")]
    with pytest.raises(Transient):
        await cluster.list(POD)
    assert not server.answers


@pytest.mark.parametrize(
    "answer",
    [
        status(400, 'container "app" in pod "p" is waiting to start: ContainerCreating', "BadRequest"),
        status(400, 'previous terminated container "app" in pod "p" not found', "BadRequest"),
        status(404, 'pods "p" not found', "NotFound"),
        web.Response(text=""),
    ],
    ids=["waiting", "no previous run", "no pod", "silent"],
)
async def test_there_is_no_log_yet(server, cluster, answer):
    server.answers = [answer]
    assert await cluster.log("ns", "p", "app", tail_lines=20) == ""


async def test_a_log_is_text_whatever_bytes_the_app_wrote(server, cluster):
    server.answers = [web.Response(body=b"Fehler: \xff kaputt\n")]
    assert await cluster.log("ns", "p", "app", tail_lines=20, previous=True) == "Fehler: � kaputt\n"
    method, path, query, _ = server.requests[0]
    assert (method, path) == ("GET", "/api/v1/namespaces/ns/pods/p/log")
    assert query == {"container": "app", "tailLines": "20", "limitBytes": str(1 << 20), "previous": "true"}


async def test_a_log_that_we_may_not_read_is_rejected(server, cluster):
    server.answers = [status(403, 'pods "p" is forbidden: User "u" cannot get resource "pods/log"', "Forbidden")]
    with pytest.raises(Rejected, match='User "u" cannot get resource'):
        await cluster.log("ns", "p", "app", tail_lines=20)


async def test_credentials_that_were_refused_are_read_again(server, cluster, kubeconfig, monkeypatch):
    monkeypatch.setattr("dataapp_operator.kube.transport.RELOAD_SECONDS", 0)
    write_kubeconfig(Path(kubeconfig), f"http://127.0.0.1:{server.port}", secret="second")
    server.answers = [status(401, "Unauthorized"), web.json_response(POD_MANIFEST)]
    with pytest.raises(Transient, match="credentials"):
        await cluster.get(POD, "ns", "p")
    assert await cluster.get(POD, "ns", "p") == POD_MANIFEST
    assert [headers["Authorization"] for *_, headers in server.requests] == ["Bearer first", "Bearer second"]


async def test_credentials_that_cannot_be_read_again_are_transient_too(server, cluster, kubeconfig, monkeypatch):
    monkeypatch.setattr("dataapp_operator.kube.transport.RELOAD_SECONDS", 0)
    await asyncio.to_thread(Path(kubeconfig).unlink)
    server.answers = [status(401, "Unauthorized")]
    with pytest.raises(Transient, match="cannot be read"):
        await cluster.get(POD, "ns", "p")


async def test_the_token_is_in_no_error(server, cluster):
    server.answers = [status(401, "Unauthorized"), status(500, "no"), web.Response(text="<html>")]
    for _ in range(3):
        with pytest.raises(Transient) as caught:
            await cluster.get(POD, "ns", "p")
        assert "first" not in str(caught.value)


async def test_the_guard_is_asked_before_each_write_and_at_no_read(server, kubeconfig):
    asked = []

    def guard():
        asked.append(1)
        if len(asked) > 1:
            raise LeaseLost("no")

    async with await Transport.open(kubeconfig=kubeconfig) as transport:
        cluster = ApiCluster(transport, guard=guard)
        server.answers = [web.json_response(POD_MANIFEST), web.json_response(POD_MANIFEST)]
        await cluster.apply(POD_MANIFEST)
        with pytest.raises(LeaseLost):
            await cluster.apply(POD_MANIFEST)
        assert await cluster.get(POD, "ns", "p") == POD_MANIFEST
    assert [method for method, *_ in server.requests] == ["PATCH", "GET"]


async def test_a_delete_says_all_that_was_asked(server, cluster):
    bodies = []

    async def keep(request):
        bodies.append(json.loads(await request.text()))
        return status(200)

    server.answers = [keep, keep]
    await cluster.delete(POD, "ns", "p", uid="u")
    await cluster.delete(POD, "ns", "p", uid="u", resource_version="7", propagation="Orphan", grace_seconds=0)
    head = {"apiVersion": "v1", "kind": "DeleteOptions"}
    assert bodies == [
        head | {"preconditions": {"uid": "u"}},
        head
        | {
            "preconditions": {"uid": "u", "resourceVersion": "7"},
            "propagationPolicy": "Orphan",
            "gracePeriodSeconds": 0,
        },
    ]


async def test_a_missing_kind_is_told_from_a_missing_object(server, cluster):
    server.answers = [web.Response(status=404, text="404 page not found"), status(404, 'pods "p" not found')]
    with pytest.raises(NotServed):
        await cluster.get(POD, "ns", "p")
    assert await cluster.get(POD, "ns", "p") is None
