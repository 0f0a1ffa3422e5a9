"""Patterns against the slow and obvious way to match them; paths against what a path can do."""

import contextlib
import posixpath
import re
import time
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataapp_operator.source.errors import Redactor, SourceError
from dataapp_operator.source.globs import Glob
from dataapp_operator.source.paths import checked_path, is_safe
from dataapp_operator.source.tree import Entry, key

names = st.text("ab.", min_size=1, max_size=4)
paths = st.lists(names, min_size=1, max_size=6).map("/".join)
pattern_parts = st.one_of(st.just("**"), st.text("ab*.", min_size=1, max_size=5))
patterns = st.lists(pattern_parts, min_size=1, max_size=6).map("/".join)


def obviously(pattern: str, path: str) -> bool:
    """The same by trying everything."""
    parts, names_ = pattern.split("/"), path.split("/")

    @cache
    def match(p: int, n: int) -> bool:
        if p == len(parts):
            return n == len(names_)
        if parts[p] == "**":
            # At the end it needs a file; elsewhere it may stand for nothing.
            if all(part == "**" for part in parts[p:]):
                return n < len(names_)
            return match(p + 1, n) or (n < len(names_) and match(p, n + 1))
        fits = re.escape(parts[p]).replace(r"\*", "[^/]*")
        return n < len(names_) and bool(re.fullmatch(fits, names_[n])) and match(p + 1, n + 1)

    return match(0, 0)


@given(patterns, paths)
def test_a_pattern_matches_what_it_obviously_should(pattern, path):
    assert Glob.of(pattern).matches(path) == obviously(pattern, path)


@given(paths)
def test_a_path_matches_itself_and_its_directories(path):
    assert Glob.of(path).matches(path)
    assert Glob.of("**").matches(path)
    assert Glob.of(f"**/{path.rpartition('/')[2]}").matches(path)
    assert not Glob.of(path).matches(f"{path}/x")


@given(patterns, paths)
def test_all_that_a_pattern_matches_is_below_its_top(pattern, path):
    glob = Glob.of(pattern)
    if glob.matches(path) and glob.top:
        assert path.startswith(f"{glob.top}/")


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("**/" * 50 + "x", "a/" * 2000 + "y"),
        ("a*" * 100 + "b", "a" * 10_000),
        ("*a" * 100, "a" * 5000 + "b"),
        ("**/a*a*a*a*a*b/" * 16 + "**", "/".join(["a" * 60] * 60)),
    ],
)
def test_no_pattern_takes_long(pattern, path):
    began = time.process_time()
    assert not Glob.of(pattern).matches(path)
    assert time.process_time() - began < 1


nasty = st.lists(
    st.one_of(
        st.sampled_from(
            ["", ".", "..", ".git", ".GIT", "git~1", ".g\u200cit", "\ufeff.git", "%2e%2e", "a", "é", "\\", "\x00", "~"]
        ),
        st.text(max_size=3),
    ),
    max_size=5,
).map("/".join)


@given(nasty)
def test_a_path_that_is_taken_stays_where_it_is(path):
    with contextlib.suppress(SourceError):
        stays_where_it_is(checked_path(path))


def stays_where_it_is(path):
    assert posixpath.normpath(path) == path
    assert posixpath.normpath(f"/top/{path}").startswith("/top")
    if path != ".":
        assert not {".git", "..", "git~1", "", "."} & set(path.lower().split("/"))
        assert not set(path) & set("\\\x00\n\r")


@given(nasty)
def test_what_is_safe_is_safe_below_another_directory_too(path):
    assert is_safe(path) == is_safe(f"a/{path}") == is_safe(f"{path}/a") or path == ""


files = st.dictionaries(paths, st.sampled_from(["a" * 40, "b" * 40]), max_size=6)


@given(files, files, st.randoms())
def test_a_key_says_whether_the_files_are_the_same(one, other, random):
    def entries(given_):
        made = [Entry(path, oid, 1, "100644") for path, oid in given_.items()]
        random.shuffle(made)
        return made

    assert key(entries(one)) == key(entries(one))
    assert (key(entries(one)) == key(entries(other))) == (one == other)


secrets = st.text("abcXYZ0123456789+/=_-:@ äß", min_size=6, max_size=30)


@given(secrets, st.text(max_size=20), st.text(max_size=20))
def test_a_secret_never_survives_redaction(secret, before, after):
    assert secret not in Redactor([secret])(f"{before}{secret}{after}")
