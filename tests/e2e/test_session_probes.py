"""Session probes against real frameworks in real pods: healthy ones pass, broken ones fail in the author's words.

Every one of these apps answers 200 over HTTP (or never listens). `running_app(image_key)` starts the image of that key
of `build/lab/images.json` and returns the base URL of its probe port once something listens there.
"""

from collections.abc import Callable

import aiohttp
import pytest

from dataapp_operator.api.verdict import Verdict
from dataapp_operator.checks.result import SessionResult
from dataapp_operator.checks.session import probe_session

pytestmark = [pytest.mark.asyncio, pytest.mark.journey, pytest.mark.must_run]

RunningApp = Callable[[str], str]


async def probe(base_url: str, image_key: str) -> SessionResult:
    framework = "streamlit" if image_key.startswith("streamlit") else "shiny-r"
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as client:
        return await probe_session(framework, base_url, timeout=30.0, client=client)


@pytest.mark.parametrize("image_key", ["streamlit-v1", "shiny-v1"])
async def test_a_healthy_app_passes_and_says_what_was_measured(running_app: RunningApp, image_key: str) -> None:
    result = await probe(running_app(image_key), image_key)
    assert result.verdict is Verdict.PASS, result
    assert ("script ran to its end" if image_key.startswith("streamlit") else "output total = ") in result.measured


@pytest.mark.parametrize("image_key", ["streamlit-broken-import", "streamlit-broken-session", "shiny-broken-session"])
async def test_an_app_that_answers_200_but_cannot_work_fails_in_its_own_words(
    running_app: RunningApp, image_key: str
) -> None:
    base_url = running_app(image_key)
    async with aiohttp.ClientSession() as client, client.get(base_url + "/") as answer:
        assert answer.status == 200  # what an HTTP check would have called healthy
    result = await probe(base_url, image_key)
    assert result.verdict is Verdict.FAIL, result
    assert result.message


async def test_a_streamlit_app_that_misses_a_package_names_it(running_app: RunningApp) -> None:
    result = await probe(running_app("streamlit-broken-import"), "streamlit-broken-import")
    assert "ModuleNotFoundError: No module named" in result.message
