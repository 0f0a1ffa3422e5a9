"""What looks like a secret is hidden, and the words around it stay."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataapp_operator.checks.redaction import redact


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("password=hunter2 user=joe", "password=… user=joe"),
        ("DB_PASSWORD: hunter2", "DB_PASSWORD: …"),
        ('{"api_key": "abc def", "n": 1}', '{"api_key": …, "n": 1}'),
        ("token => 'x y'", "token => …"),
        ("postgresql://joe:hun/ter2@db:5432/x", "postgresql://…@db:5432/x"),  # a password that was not quoted
        ("postgresql://joe:hunter2@db:5432/x", "postgresql://…@db:5432/x"),
        ("https://ghp_abc@git.example.org/a.git", "https://…@git.example.org/a.git"),
        ("https://db.example.org/x?user=a@b", "https://db.example.org/x?user=a@b"),
        ("Authorization: Bearer abcdef.ghijkl", "Authorization: … …"),
        ("sent Bearer abcdefghijkl", "sent Bearer …"),
        ("key eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.sig here", "key … here"),
        ("AKIAIOSFODNN7EXAMPLE", "…"),
        ("ghp_0123456789abcdef", "…"),
        ("-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----\nafter", "…\nafter"),
        ("KeyError: 'password'", "KeyError: 'password'"),
        ("there is no package called ‘janitor’", "there is no package called ‘janitor’"),
    ],
)
def test_redact(text: str, shown: str) -> None:
    assert redact(text) == shown


@given(st.text(max_size=500))
def test_any_text_is_redacted_without_a_crash(text: str) -> None:
    redact(text)


def test_a_long_line_takes_no_time() -> None:
    redact("a-" * 50_000 + "://" + "b" * 50_000)  # pytest-timeout is the judge of catastrophic patterns
