"""What kubectl says when it fails, put into words. Pure.

kubectl's own sentence is always kept where it is not plainly understood: it knows more than we do. Lines of its log
(``E1128 18:00:00.000000 …``) only repeat what the last line says, and are left out.
"""

import re

from dataapp_operator.cli.errors import CliError, Conflict, Denied, NotFound, Unreachable

_LOG = re.compile(r"^[EWIF][0-9]{4} [0-9:.]+ ")
_MAY_NOT = re.compile(
    r'User "(?P<who>[^"]*)" cannot (?P<verb>\w+) resource "(?P<what>[^"]*)"'
    r'(?: in API group "[^"]*")?(?: in the namespace "(?P<namespace>[^"]*)")?'
)
_SILENT = (
    "unable to connect to the server",
    "the connection to the server",
    "no configuration has been provided",
    "connection refused",
    "no such host",
    "i/o timeout",
    "tls handshake timeout",
    "deadline exceeded",
    "client.timeout",
    "http2: client connection lost",
    "unexpected eof",
    "(serviceunavailable)",
    "(timeout)",
    "(toomanyrequests)",
    "(internalerror)",
)
_STRANGER = ("(unauthorized)", "you must be logged in")


def is_log(line: str) -> bool:
    """Whether a line is one of kubectl's log, which is for its makers."""
    return _LOG.match(line) is not None


def failure(said: str, code: int) -> CliError:
    """What a failed call of kubectl means. ``said``: all of its standard error; ``code``: its exit code."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    told = [line for line in lines if not is_log(line)] or lines
    words = " ".join(told[-2:]) if told else f"nothing, and ended with code {code}"
    small = words.lower()
    if "(notfound)" in small:
        return NotFound(words)
    if "(conflict)" in small or "the object has been modified" in small:
        return Conflict(words)
    if "(forbidden)" in small:
        return Denied(_may_not(words))
    if any(sign in small for sign in _STRANGER):
        return Denied(f"the cluster does not know you: log in again, as you do for kubectl (it says: {words})")
    if "doesn't have a resource type" in small:
        return Denied(
            "this cluster has no DataApps: the operator is not installed in it, or you mean another --context"
        )
    if any(sign in small for sign in _SILENT):
        return Unreachable(
            f"the cluster does not answer: {words}. `kubectl config current-context` says which one is asked;"
            " --context and --kubeconfig choose another"
        )
    return CliError(f"kubectl says: {words}")


def _may_not(words: str) -> str:
    found = _MAY_NOT.search(words)
    if found is None:
        return f"you may not do this: {words}"
    where = f"the namespace {found['namespace']}" if found["namespace"] else "this cluster"
    return (
        f"you ({found['who']}) may not {found['verb']} {found['what']} in {where}. Those who may are in one of the roles"
        " edit and view there; the platform team gives them"
    )
