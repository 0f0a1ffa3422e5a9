"""Sentences of Kubernetes, container runtimes and gateways, put into words for the author of an app.

Each function takes what somebody else's program said and gives the telling part of it. What is not recognised is kept
as it was said: a strange sentence is better than none.
"""

import re

_SUBJECT = re.compile(r'^\S+ "[^"]*" is (?:invalid|forbidden): ')
_LACKS = {
    "cpu": "not enough free CPU",
    "memory": "not enough free memory",
    "ephemeral-storage": "not enough free disk",
    "pods": "every machine runs as many pods as it may",
}
_PULL = {
    r"unauthorized|authorization failed|denied|\b40[13]\b": "the registry does not let the cluster read it, or does not"
    " have it (access denied)",
    r"no such host|server misbehaving": "its registry cannot be found (no host of that name)",
    r"connection refused|i/o timeout|deadline exceeded|connection reset|no route to host": "its registry does not answer",
    r"no match for platform|exec format": "it was built for another kind of machine",
    r"not found|manifest unknown|name unknown": "the registry does not have it (not found)",
}
_GATEWAY = {
    "NotAllowedByListeners": "its listener does not take routes from this namespace",
    "NoMatchingListenerHostname": "none of its listeners is for this host",
    "NoMatchingParent": "it has no such listener",
    "InvalidKind": "its listener does not take routes of HTTP",
}


def without_subject(said: str) -> str:
    """The API server's sentence without the object it begins with."""
    return _SUBJECT.sub("", said)


def quota(said: str) -> str | None:
    """What a quota refused, and what to do; None when no quota did."""
    at = said.find("exceeded quota")
    if at < 0:
        return None
    return (
        f"the namespace's quota has no room for it ({said[at:]}). Ask for less in spec.app.resources or"
        " spec.app.replicas, or ask the platform team for a larger quota"
    )


def unschedulable(said: str) -> str:
    """Why no node takes a pod: what is short, else the scheduler's own words without its remarks on preemption."""
    short = dict.fromkeys(re.findall(r"(?:Insufficient |Too many )([a-z0-9./-]*[a-z0-9])", said))
    if short:
        return ", ".join(_LACKS.get(what, f"not enough {what}") for what in short)
    return re.split(r"[.,]? (?:preemption|no new claims)", said, maxsplit=1)[0].rstrip(". ")


def pull(said: str) -> str:
    """Why an image cannot be fetched."""
    for pattern, meaning in _PULL.items():
        if re.search(pattern, said, re.IGNORECASE):
            return meaning
    return said.rpartition("ErrImagePull: ")[2].strip(" .") or "the registry did not give it"


def gateway(said: str) -> str:
    """Why a gateway does not accept a route: its reason explained, its message kept."""
    reason, _, message = said.partition(":")
    meaning = _GATEWAY.get(reason.strip())
    if meaning is None:
        return said
    return f"{meaning} ({said})" if message.strip() else f"{meaning} ({reason.strip()})"
