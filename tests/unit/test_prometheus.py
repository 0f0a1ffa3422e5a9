"""A question to Prometheus gives one number, or says in words why not; and a question is put as long as it is wanted."""

import asyncio
import json
from datetime import UTC, datetime

import aiohttp
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from dataapp_operator.checks.prometheus import Answer, ask, read
from dataapp_operator.control.questions import Questions
from dataapp_operator.plan.actions import AskPrometheus, Question

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def said(kind: str, result: object) -> bytes:
    return json.dumps({"status": "success", "data": {"resultType": kind, "result": result}}).encode()


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        (said("vector", [{"metric": {}, "value": [1.0, "0.25"]}]), Answer(0.25)),
        (said("scalar", [1.0, "3"]), Answer(3.0)),
        (said("vector", []), Answer(trouble="the query finds nothing")),
        (
            said("vector", [{"value": [1, "1"]}, {"value": [1, "2"]}]),
            Answer(trouble="the query gives 2 numbers: it must give one, as sum(…) does"),
        ),
        (said("vector", [{"value": [1, "NaN"]}]), Answer(trouble="the query gives NaN, which is no number")),
        (said("vector", [{"value": [1, "+Inf"]}]), Answer(trouble="the query gives +Inf, which is no number")),
        (said("vector", [{}]), Answer(trouble="Prometheus answered without a number")),
        (said("matrix", [{}]), Answer(trouble="the query gives a matrix: it must give one number")),
        (b'{"status": "success"}', Answer(trouble="Prometheus answered without a result")),
        (
            b'{"status": "error", "error": "parse error at char 4"}',
            Answer(trouble="Prometheus does not answer the query: parse error at char 4"),
        ),
        (b"<html>", Answer(trouble="Prometheus answered 200, and not in its own words")),
        (b"[]", Answer(trouble="Prometheus does not answer the query: 200")),
    ],
)
def test_an_answer_is_one_number_or_words(body: bytes, answer: Answer) -> None:
    assert read(200, body) == answer


@given(
    st.binary(max_size=200)
    | st.recursive(st.none() | st.floats() | st.text(), st.lists).map(lambda v: json.dumps(v).encode())
)
def test_no_answer_breaks_the_reading(body: bytes) -> None:
    found = read(200, body)
    assert (found.value is None) == bool(found.trouble)


@pytest.mark.asyncio
async def test_the_query_arrives_whole_and_silence_and_refusal_are_words() -> None:
    asked = []

    async def answer(request: web.Request) -> web.Response:
        asked.append((await request.post())["query"])
        return web.Response(body=said("scalar", [1.0, "7"]))

    app = web.Application()
    app.router.add_post("/prefix/api/v1/query", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    text = 'sum(rate(x{a="b+c & d"}[1m])) > 0'
    async with aiohttp.ClientSession() as client:
        assert await ask(f"http://127.0.0.1:{port}/prefix/", text, client=client) == Answer(7.0)
        await runner.cleanup()
        refused = await ask(f"http://127.0.0.1:{port}", text, client=client)
    assert asked == [text]
    assert refused.value is None
    assert refused.trouble.startswith("Prometheus cannot be asked: ")


def work(*names: str, since: datetime = NOW, number: int = 2) -> AskPrometheus:
    questions = tuple(Question(name, f"query of {name}", 0.01, "> 0.5") for name in names)
    return AskPrometheus(environment="prod", number=number, address="http://p", since=since, questions=questions)


@pytest.mark.asyncio
async def test_a_question_is_put_until_nobody_wants_it_and_its_answers_are_counted() -> None:
    given_ = iter([(0.1, ""), (0.9, ""), (None, "no answer in time"), (0.8, ""), (0.2, "")])
    questions, told = Questions(), []

    async def put(_: AskPrometheus, question: Question) -> tuple[float | None, str]:
        assert question.query == "query of errors"
        return next(given_)

    def tell() -> None:
        told.append(questions.answers["prod", 2]["errors"])
        if len(told) == 5:
            questions.want([])

    assert questions.want([work("errors", "p95")]) == [("prod", "errors"), ("prod", "p95")]
    await asyncio.wait_for(questions.pursue("prod", "errors", put=put, tell=tell), 5)
    assert [(f.samples, f.failing_in_row, f.value) for f in told] == [
        (1, 0, 0.1),
        (2, 1, 0.9),
        (2, 1, 0.9),
        (3, 2, 0.8),
        (4, 0, 0.2),
    ]
    assert [f.trouble for f in told] == ["", "", "no answer in time", "", ""]


@pytest.mark.asyncio
async def test_another_step_counts_anew_and_an_error_of_ours_is_no_answer() -> None:
    questions, told = Questions(), []

    async def put(asked: AskPrometheus, _: Question) -> tuple[float | None, str]:
        if len(told) == 2:
            raise RuntimeError
        return 0.9, ""

    def tell() -> None:
        told.append(questions.answers["prod", 2]["errors"])
        questions.want([work("errors", since=NOW.replace(hour=1))] if len(told) < 3 else [])

    questions.want([work("errors")])
    await asyncio.wait_for(questions.pursue("prod", "errors", put=put, tell=tell), 5)
    assert [(f.since.hour, f.samples) for f in told] == [(0, 1), (1, 1), (1, 1)]
    assert told[-1].trouble == "asking it broke off; it is asked again"
    questions.forget(set())
    assert questions.answers == {}
