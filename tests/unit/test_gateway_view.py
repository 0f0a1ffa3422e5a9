"""Seeing a plan through a gateway: several new visits in a row, never one lucky answer."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import chain, repeat
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from dataapp_operator.checks.gateway import GatewayView, observe_plan

pytestmark = pytest.mark.asyncio

OLD, NEW = (200, "56", "13"), (200, "57", "14")


@asynccontextmanager
async def gateway(
    *answers: tuple[int, str, str], tls: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[int, list[web.Request]]]:
    """A server that gives these (status, plan, release) in turn, the last one for ever; yields port and requests."""
    coming = chain(answers, repeat(answers[-1]))
    seen: list[web.Request] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append(request)
        status, plan, release = next(coming)
        headers = {"X-DataApp-Plan": plan, "X-DataApp-Release": release, "Set-Cookie": "dataapp-sales-production=14.0"}
        return web.Response(status=status, headers=headers)

    app = web.Application()
    app.router.add_get("/", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    try:
        yield runner.addresses[0][1], seen
    finally:
        await runner.cleanup()


def certificate(directory: Path) -> ssl.SSLContext:
    """A certificate that nobody has signed, for a name that nobody asks for."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gateway.invalid")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file = directory / "tls.pem"
    file.write_bytes(private + made.public_bytes(Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


async def test_a_listener_with_tls_is_told_the_host_and_visited_whoever_has_signed_it(tmp_path: Path) -> None:
    context, asked = certificate(tmp_path), []
    context.sni_callback = lambda _socket, name, _context: asked.append(name)
    async with gateway(NEW, tls=context) as (port, seen):
        view = await look(port, scheme="https")
    assert view.seen, view.detail
    assert asked == ["sales.localhost"] * 3
    assert {request.host for request in seen} == {"sales.localhost"}


async def look(
    port: int,
    *,
    timeout: float = 5.0,  # noqa: ASYNC109
    needed: int = 3,
    releases: tuple[int, ...] = (14,),
    scheme: str = "http",
) -> GatewayView:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as client:
        return await observe_plan(
            door=f"{scheme}://127.0.0.1:{port}/",
            host="sales.localhost",
            plan=57,
            releases=releases,
            needed=needed,
            timeout=timeout,
            client=client,
        )


async def test_three_answers_in_a_row_are_needed() -> None:
    async with gateway(NEW, NEW, OLD, NEW, NEW, NEW) as (port, seen):
        view = await look(port)
    assert view.seen
    assert len(seen) == 6
    assert view.detail == "3 new visits in a row saw status 200, plan 57, release 14"


async def test_every_visit_is_a_new_visitor_on_a_connection_of_its_own() -> None:
    async with gateway(NEW) as (port, seen):
        await look(port)
    assert {request.host for request in seen} == {"sales.localhost"}
    assert not any("Cookie" in request.headers for request in seen)
    assert all(request.headers["Connection"] == "close" for request in seen)


@pytest.mark.parametrize("answer", [OLD, (200, "57", "13"), (200, "56", "14"), (502, "57", "14")])
async def test_anything_else_is_not_seen_and_says_what_was(answer: tuple[int, str, str]) -> None:
    async with gateway(answer) as (port, _):
        view = await look(port, timeout=0.4)
    assert not view.seen
    assert view.detail.endswith(f"last seen: status {answer[0]}, plan {answer[1]}, release {answer[2]}")
    assert "new visitors of sales.localhost to release 14 (plan 57)" in view.detail


async def test_at_a_step_of_a_canary_either_release_is_the_plan_and_a_third_is_not() -> None:
    async with gateway((200, "57", "13"), NEW, (200, "57", "12"), (200, "57", "13"), NEW, NEW) as (port, seen):
        view = await look(port, releases=(13, 14))
    assert view.seen
    assert len(seen) == 6


async def test_an_app_that_answers_404_on_its_entry_path_is_seen_all_the_same() -> None:
    async with gateway((404, "57", "14")) as (port, _):
        assert (await look(port)).seen


async def test_a_page_instead_of_an_app_is_seen_and_an_error_of_the_gateway_is_not() -> None:
    async with gateway((503, "57", "0")) as (port, _):
        assert (await look(port, releases=(0,))).seen
        assert not (await look(port, timeout=0.4)).seen
    async with gateway((503, "57", "none")) as (port, _):
        assert not (await look(port, releases=(0,), timeout=0.4)).seen


async def test_no_gateway_at_all() -> None:
    view = await look(9, timeout=0.3)
    assert not view.seen
    assert "no answer from the gateway" in view.detail
