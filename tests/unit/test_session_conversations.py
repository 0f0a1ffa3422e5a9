"""What the probes conclude from what real frameworks said.

`fixtures/sessions/*.json` are the frames that Streamlit 1.67.0, Shiny for R 1.7.4 and 1.10.0 and Shiny for Python 1.8.0 sent
to the probe, one small app each: page, frames in order, how the session ended, and the expected verdict.
"""

import base64
import json
import re
from pathlib import Path
from typing import Any

import pytest

from dataapp_operator.api.verdict import Verdict
from dataapp_operator.checks.conversation import Conversation, Finding
from dataapp_operator.checks.shiny_conversation import ShinyConversation
from dataapp_operator.checks.shiny_page import read_page
from dataapp_operator.checks.streamlit import StreamlitConversation

RECORDINGS = sorted((Path(__file__).parent / "fixtures" / "sessions").glob("*.json"))
TODAY = "2026-11-22"


def load(name: str) -> dict[str, Any]:
    path = next(path for path in RECORDINGS if path.stem == name)
    recording: dict[str, Any] = json.loads(path.read_text())
    if "Streamlit" in recording["framework"]:
        recording["frames"] = [base64.b64decode(frame) for frame in recording["frames"]]
    return recording


def conversation_for(recording: dict[str, Any]) -> Conversation:
    if "Streamlit" in recording["framework"]:
        return StreamlitConversation()
    return ShinyConversation(read_page(recording["page"], today=TODAY), today=TODAY)


def replay(recording: dict[str, Any]) -> tuple[Finding, list[str | bytes]]:
    conversation = conversation_for(recording)
    sent = list(conversation.opening())
    for frame in recording["frames"]:
        assert conversation.finding() is None, "the verdict came before the frames that it was given for"
        sent += conversation.hear(frame)
    if conversation.finding() is None and recording["closed"]:
        return conversation.closed(recording["closed"]), sent
    if conversation.finding() is None and conversation.patience() is not None:
        conversation.quiet()
    return conversation.finding() or conversation.time_up(), sent


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.stem)
def test_a_recorded_session_gets_its_verdict_and_its_words(path: Path) -> None:
    recording = load(path.stem)
    finding, _ = replay(recording)
    result = finding.timed(0.84)
    assert result.verdict == recording["verdict"]
    assert result.message == recording["message"]
    assert re.sub(r"\d+\.\d s", "… s", result.measured) == recording["measured"]


def test_there_are_recordings_of_every_kind_for_every_framework() -> None:
    seen = {(load(path.stem)["framework"].rpartition(" ")[0], load(path.stem)["verdict"]) for path in RECORDINGS}
    frameworks = ("Streamlit", "Shiny for R", "Shiny for Python")
    assert seen == {(framework, verdict) for framework in frameworks for verdict in ("pass", "fail", "inconclusive")}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("st-import", "ModuleNotFoundError: No module named 'jinja3'"),
        ("st-session", "KeyError: 'b'"),
        ("st-syntax", "SyntaxError: '(' was never closed"),
        ("r-session", "there is no package called ‘janitor’"),
    ],
)
def test_a_failure_is_told_in_the_words_of_the_session(name: str, words: str) -> None:
    finding, _ = replay(load(name))
    assert (finding.verdict, finding.message) == (Verdict.FAIL, words)


def test_measured_quotes_the_output_and_the_time() -> None:
    finding, _ = replay(load("r-ok"))
    assert finding.timed(0.84).measured == "output total = 21 (v1) after 0.8 s"


def test_a_shiny_session_starts_with_every_default_and_every_output_visible() -> None:
    _, sent = replay(load("r-session"))
    message = json.loads(sent[0])
    assert message["method"] == "init"
    assert message["data"]["n:shiny.number"] == 7
    assert message["data"][".clientdata_output_total_hidden"] is False


def test_outputs_that_come_later_are_announced_and_waited_for() -> None:
    recording = load("r-ok")
    _, sent = replay(recording)
    update = json.loads(sent[1])
    assert update == {"method": "update", "data": {"late": "L", ".clientdata_output_inner_hidden": False}}
    conversation = conversation_for(recording)
    heard = [frame for frame in recording["frames"] if '"inner":"inner L"' not in frame]
    for frame in heard:
        conversation.hear(frame)
    assert conversation.finding() is None


def test_plots_are_given_a_size() -> None:
    _, sent = replay(load("r-ok"))
    data = json.loads(sent[0])["data"]
    assert data[".clientdata_output_p_width"] > 0
    assert data[".clientdata_output_p_height"] > 0
    assert ".clientdata_output_total_width" not in data


def test_a_script_that_has_not_ended_is_no_value_yet_and_not_a_failure() -> None:
    recording = load("st-ok")
    conversation = conversation_for(recording)
    for frame in recording["frames"][:-1]:
        conversation.hear(frame)
    finding = conversation.time_up()
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert finding.message.startswith("no value yet")


def test_the_end_of_a_script_says_success_even_after_an_exception_so_it_decides_nothing() -> None:
    recording = load("st-import")
    conversation = conversation_for(recording)
    for frame in recording["frames"]:
        conversation.hear(frame)
    assert conversation.hear(b"\x30\x00") == []  # script_finished: FINISHED_SUCCESSFULLY, as Streamlit sends it
    finding = conversation.finding()
    assert finding is not None
    assert finding.verdict is Verdict.FAIL


@pytest.mark.parametrize("frame", ["[]", "nonsense", "[" * 100_000, "{"])
def test_something_that_is_not_shiny_is_an_error_with_words(frame: str) -> None:
    conversation = ShinyConversation(read_page("", today=TODAY), today=TODAY)
    conversation.hear(frame)
    finding = conversation.finding()
    assert finding is not None
    assert finding.verdict is Verdict.ERROR
    assert "is it a Shiny app?" in finding.message


@pytest.mark.parametrize("frame", [b"\xff\xff\xff", b"\x07", "hello", b"\x2a\x7f"])
def test_something_that_is_not_streamlit_is_an_error_with_words(frame: str | bytes) -> None:
    conversation = StreamlitConversation()
    conversation.hear(frame)
    finding = conversation.finding()
    assert finding is not None
    assert finding.verdict is Verdict.ERROR
    assert "is it a Streamlit app?" in finding.message


def test_an_error_inside_a_conditional_panel_is_not_held_against_the_app() -> None:
    panel = '<div data-display-if="input.n > 9"><p id="b" class="shiny-text-output"></p></div>'
    html = f'<div id="a" class="shiny-text-output"></div>{panel}'
    conversation = ShinyConversation(read_page(html, today=TODAY), today=TODAY)
    conversation.hear('{"config":{}}')
    conversation.hear('{"values":{"a":"1"},"errors":{"b":{"message":"n is too small","type":null}}}')
    finding = conversation.finding()
    assert finding is not None
    assert finding.verdict is Verdict.PASS


def test_a_download_link_alone_does_not_make_up_for_outputs_without_values() -> None:
    html = '<a id="d" class="shiny-download-link"></a><div id="a" class="shiny-text-output"></div>'
    conversation = ShinyConversation(read_page(html, today=TODAY), today=TODAY)
    conversation.hear('{"config":{}}')
    conversation.hear('{"values":{"d":"session/x"},"errors":{"a":{"message":"","type":["shiny.silent.error"]}}}')
    finding = conversation.finding()
    assert finding is not None
    assert finding.verdict is Verdict.INCONCLUSIVE


def test_secrets_in_what_a_session_says_do_not_reach_the_result() -> None:
    finding = Finding(
        Verdict.FAIL, "output dsn = postgres://joe:hunter2@db/x", "cannot open postgres://joe:hunter2@db/x"
    )
    result = finding.timed(0.1)
    assert "hunter2" not in result.measured + result.message
