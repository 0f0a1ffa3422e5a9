"""Each refusal of the API server becomes the error that tells the caller what to do, in words without boilerplate."""

import json

import pytest

from dataapp_operator.kube.errors import (
    AlreadyExists,
    Conflict,
    Missing,
    NotServed,
    Rejected,
    Transient,
    plain,
    translate,
)
from dataapp_operator.kube.kinds import DATAAPP, HTTPROUTE


def status(message="", reason="", **details):
    return json.dumps({"kind": "Status", "message": message, "reason": reason, "details": details})


@pytest.mark.parametrize(
    ("code", "body", "expected"),
    [
        (409, status("the object has been modified", "Conflict", name="x"), Conflict),
        (409, status('dataapps "x" already exists', "AlreadyExists", name="x"), AlreadyExists),
        (404, status('dataapps "x" not found', "NotFound", name="x"), Missing),
        # Both ways in which a server says that it does not know the kind (CRD never installed; group known).
        (404, "404 page not found\n", NotServed),
        (404, status("the server could not find the requested resource", "NotFound"), NotServed),
        (400, status("unknown field", "BadRequest"), Rejected),
        (403, status("exceeded quota", "Forbidden"), Rejected),
        (413, status("too large"), Rejected),
        (422, status("no", "Invalid"), Rejected),
        (500, status("failed to create typed patch object (a/b; v1, Kind=Pod): .spec.x: no", ""), Rejected),
        (500, status("etcdserver: leader changed"), Transient),
        (401, status("Unauthorized", "Unauthorized"), Transient),
        (410, status("the resourceVersion is too old", "Expired"), Transient),
        (429, status("slow down", "TooManyRequests"), Transient),
        (503, "<html>Bad gateway</html>", Transient),
        (504, status("timeout", "Timeout"), Transient),
    ],
)
def test_code_and_reason_decide_the_error(code, body, expected):
    error = translate(DATAAPP, code, body)
    assert type(error) is expected
    assert error.code == code
    assert error.message


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        (
            'DataApp.dataapps.dev "x" is invalid: spec: Invalid value: "object": image must name a digest',
            "spec: image must name a digest",
        ),
        (
            'DataApp.dataapps.dev "x" is invalid: [spec.a: Required value, spec.b: no]',
            "spec.a: Required value, spec.b: no",
        ),
        ('pods "x" is forbidden: exceeded quota: q, used: pods=1', "exceeded quota: q, used: pods=1"),
        ('dataapps.dataapps.dev is forbidden: User "u" cannot list resource', 'User "u" cannot list resource'),
        ('Operation cannot be fulfilled on dataapps.dataapps.dev "x": the object moved', "the object moved"),
        (
            "failed to create typed patch object (a/b; apps/v1, Kind=Pod): .spec.x: field not declared in schema",
            ".spec.x: field not declared in schema",
        ),
        ('admission webhook "w.example.org" denied the request: not on Fridays', "not on Fridays"),
        ("plain words", "plain words"),
    ],
)
def test_boilerplate_is_cut_off(said, meant):
    assert plain(said) == meant


@pytest.mark.parametrize(
    ("header", "details", "seconds"),
    [
        ("7", {}, 7.0),
        (None, {"retryAfterSeconds": 3}, 3.0),
        ("Sun, 22 Nov 2026 18:00:00 GMT", {}, 0.0),
        ("-1", {}, 0.0),
        (None, {}, 0.0),
    ],
)
def test_the_server_says_how_long_to_wait(header, details, seconds):
    error = translate(DATAAPP, 429, status("slow", **details), retry_after=header)
    assert isinstance(error, Transient)
    assert error.retry_after == seconds


def test_a_kind_that_is_not_served_is_named_with_what_to_install():
    message = translate(HTTPROUTE, 404, "404 page not found").message
    assert "HTTPRoute" in message
    assert "httproutes.gateway.networking.k8s.io" in message


def test_an_answer_without_a_word_gets_one():
    assert translate(DATAAPP, 502, "").message == "HTTP status 502 without a word of explanation"
