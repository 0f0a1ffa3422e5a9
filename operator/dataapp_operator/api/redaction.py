"""Removes what looks like a secret from text that will be shown: passwords, tokens, keys, URLs with userinfo.

It errs on the side of hiding: a hidden word costs an author a look into the log, a shown password costs a lot more.
Nothing here proves that a text holds no secret; texts that are known to hold one are not passed on at all.
"""

import re

HIDDEN = "…"

_NAMES = (
    r"pass(?:word|wd|phrase)?|pwd|token|secret|api[_-]?key|access[_-]?key|"
    r"private[_-]?key|account[_-]?key|authorization|credentials?|signature|sig"
)
_RULES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL), HIDDEN),
    (
        re.compile(r"(?P<keep>\b[a-z][a-z0-9+.-]{0,30}://)(?:[^\s/?#'\"<>]*|[^\s/@:]*:[^\s'\"<>@]*)@", re.IGNORECASE),
        rf"\g<keep>{HIDDEN}@",
    ),
    (re.compile(r"(?P<keep>\b(?:Bearer|Basic)\s+)[\w.~+/=-]{6,}", re.IGNORECASE), rf"\g<keep>{HIDDEN}"),
    (
        re.compile(
            rf"(?P<keep>\b[\w.-]{{0,60}}?(?:{_NAMES})[\w-]{{0,30}}[\"']?\s*(?:=>|[=:])\s*)(?:\"[^\"\n]*\"|'[^'\n]*'|[^\s,;&)\]}}]+)",
            re.IGNORECASE,
        ),
        rf"\g<keep>{HIDDEN}",
    ),
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]+(?:\.[\w-]*)?"), HIDDEN),
    (re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"), HIDDEN),
    (re.compile(r"\b(?:gh[pousr]_|github_pat_|glpat-|xox[abprs]-|sk-|hf_)[\w-]{10,}"), HIDDEN),
)


def redact(text: str) -> str:
    """The text with everything that looks like a secret replaced by "…"."""
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return text
