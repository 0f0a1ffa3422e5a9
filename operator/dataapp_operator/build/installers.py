"""What uv, pip, R and apt say when packages cannot be installed, in one sentence for the author of an app. Pure text.

uv explains itself well and at length; from its explanation the one fact is taken that the author can act on. What is
not recognised is kept in uv's own words.
"""

import re

from dataapp_operator.api.reasons import Reason

Verdict = tuple[Reason, str]

_LOOKED_AT = 40  # lines of a complaint
_LONGEST = 600
_FRAME = re.compile(r"^[\s×├╰│─▶]*(?:cause:|Caused by:)?\s*")
_CAUSE = re.compile(r"^\s*(?:cause:|Caused by:|hint:|╰─▶|├─▶)")
_BETWEEN = "; "
_CONDITION = re.compile(r"\{[^}]*\}")  # uv writes a platform's conditions into names: numpy{python_version < '3.12'}
_COMPLAINT = re.compile(r"(?:error: (?!failed to solve)|\s*× )")
_OVER = re.compile(r"(?:-{4,}|error: failed to solve|ERROR: |Dockerfile:\d+)")

_NOT_FOUND, _FAILED = Reason.PACKAGE_NOT_FOUND, Reason.BUILD_FAILED
_UV: tuple[tuple[str, Reason, str], ...] = (
    (
        (
            r"`(?P<name>\S+?)` was filtered by `exclude-newer` to only include packages uploaded before (?P<cutoff>[\d-]{10})"
            r".*?requested version, v?(?P<version>\S+?), was published at (?P<day>\d{4}-\d\d-\d\d)"
        ),
        _NOT_FOUND,
        (
            "{asker} asks for {name} {version}, which was published on {day}. Versions are chosen as they were on the day of the"
            " commit ({cutoff}): commit again, or ask for an earlier one"
        ),
    ),
    (
        r"`(?P<name>\S+?)` was filtered by `exclude-newer` to only include packages uploaded before (?P<cutoff>[\d-]{10})",
        _NOT_FOUND,
        (
            "{asker} asks for {name}, of which nothing that fits was published by the day of the commit ({cutoff}): commit"
            " again, or ask for an earlier version"
        ),
    ),
    (
        r"(?P<name>[\w.-]+) was not found in the (?:package registry|provided package locations|cache)",
        _NOT_FOUND,
        "{asker} asks for {name}; the package index has no such package",
    ),
    (
        r"current Python version \((?P<offered>[^)]*)\) does not satisfy Python(?P<wanted>\S*\d) and (?P<name>\S+)",
        _NOT_FOUND,
        (
            "{asker} asks for {name}, which needs Python {wanted}; the base image has Python {offered}. Ask for a version that"
            " runs on it, or ask the platform team for another base image"
        ),
    ),
    (
        r"(?:No interpreter found for Python |project's Python requirement: `?)(?P<wanted>[^`\s]+)",
        _FAILED,
        (
            "pyproject.toml asks for Python {wanted}, which the base image does not have: change requires-python, or ask the"
            " platform team for another base image"
        ),
    ),
    (
        r"(?P<name>[\w.-]+(?:==[\w.]+)?) has no (?:usable |compatible )?(?:wheels|source distribution)",
        _NOT_FOUND,
        "{asker} asks for {name}, of which the package index has nothing that runs on the base image's Python and machine",
    ),
    (
        r"only (?P<offered>\S+) (?:is|are) available and you require (?P<wanted>[^\s,]+)",
        _NOT_FOUND,
        "{asker} asks for {wanted}; the package index has no such version (it has {offered})",
    ),
    (
        r"there (?:is no version|are no versions) of (?P<wanted>[^\s,]+)",
        _NOT_FOUND,
        "{asker} asks for {wanted}; the package index has no such version",
    ),
    (
        r"Hash mismatch for `(?P<name>[^`]+)`",
        _FAILED,
        "{asker} has hashes for {name} that do not fit the file which the package index offers: one of the two was changed",
    ),
    (
        r"(?:no trusted hash was provided for|pinned with `==`, but found|must have a hash.*?): `?(?P<name>[\w.-]+)",
        _FAILED,
        (
            "{asker} has hashes, but not for {name}: then every package needs its version and its hash, also those that others"
            " bring. Make the file anew with `uv pip compile --generate-hashes`"
        ),
    ),
    (
        r"invalid peer certificate|UnknownIssuer|certificate verify failed",
        _FAILED,
        (
            "the build does not trust the certificate of the package index: the platform team has to add its authority to the"
            " certificates of builds"
        ),
    ),
    (
        r"HTTP status client error \((?P<code>40[13])",
        _FAILED,
        "the package index refused the build (HTTP {code}): the platform team has to mend it",
    ),
    (
        r"(?:Request failed after|Failed to fetch|error sending request)\b(?:.*; )?(?P<why>.*)",
        _FAILED,
        "the package index did not answer ({why}): try again, and if it stays so tell the platform team",
    ),
    (
        r"Failed to (?:build|download and build) `(?P<name>[^`]+)`",
        _FAILED,
        (
            "{asker} asks for {name}, which the package index has as source only, and compiling it failed. Ask for a version that"
            " has a wheel, or bring a Dockerfile"
        ),
    ),
    (
        r"Couldn't parse requirement in \S+ at position \d+\W+(?P<why>.*)",
        _FAILED,
        "{asker} cannot be read: {why}",
    ),
    (
        r"No solution found when resolving dependencies\W+(?P<why>.*)",
        _FAILED,
        "{asker} asks for versions that do not go together: {why}",
    ),
)
_OTHERS: tuple[tuple[str, Reason, str], ...] = (
    (
        r"hint: Build failures usually indicate a problem with the package",
        _FAILED,
        (
            "{asker} asks for a package that has to be compiled in the image, and that failed (the log says which): ask for a"
            " version that has a wheel, or bring a Dockerfile"
        ),
    ),
    (
        r"No matching distribution found for (?P<name>\S+)",
        _NOT_FOUND,
        "{asker} asks for {name}; the package index has no such package, or no such version for this Python",
    ),
    (
        r"E: Unable to locate package (?P<name>\S+)",
        _NOT_FOUND,
        "the Dockerfile installs the Debian package {name}, which does not exist",
    ),
    (
        r"there is no package called [‘'](?P<name>[\w.]+)[’']",
        _NOT_FOUND,
        "the Dockerfile loads the R package {name}, which is not installed in the image",
    ),
    (
        r"package [‘'](?P<name>[\w.]+)[’'] is not available for (?:this version of )?R",
        _NOT_FOUND,
        "the Dockerfile installs the R package {name}, which its repository does not have",
    ),
)


def explain_installer(lines: list[str], asker: str) -> Verdict | None:
    """What an installer's output says; None when no installer complains. `asker` is the file that names the packages."""
    complaint = _uv_complaint(lines)
    if complaint:
        own_words = (_FAILED, f"the packages of {asker} cannot be installed: {complaint}"[:_LONGEST])
        return _first(_UV, complaint, asker) or own_words
    return _first(_OTHERS, "\n".join(lines), asker)


def _uv_complaint(lines: list[str]) -> str:
    """Uv's last complaint, with its causes and hints, on one line; empty when there is none."""
    begin = next((at for at in reversed(range(len(lines))) if _COMPLAINT.match(lines[at])), None)
    told = ""
    for line in [] if begin is None else lines[begin : begin + _LOOKED_AT]:
        if _OVER.match(line):
            break
        words = _FRAME.sub("", line).removeprefix("error: ").strip()
        told += (_BETWEEN if _CAUSE.match(line) else " ") * bool(told and words) + words
    return _CONDITION.sub("", told)


def _first(rules: tuple[tuple[str, Reason, str], ...], text: str, asker: str) -> Verdict | None:
    for pattern, reason, sentence in rules:
        if match := re.search(pattern, text):
            found = {name: (value or "").strip(" .") for name, value in match.groupdict().items()}
            return reason, sentence.format(asker=asker, **found)[:_LONGEST]
    return None
