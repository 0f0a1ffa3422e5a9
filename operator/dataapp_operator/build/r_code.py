"""What an R file names and calls, as far as that can be said without R: its tokens, without comments and strings.

R itself looks again while the image is built (recipes/check.R). Here it is enough to know which packages are named at
all, and whether a file starts its app by itself.
"""

import re
from dataclasses import dataclass

_TOKEN = re.compile(
    r"""(?P<comment>\#[^\n]*)
      | [rR](?P<raw>["'])(?P<dashes>-*)(?P<open>[(\[{])
      | (?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
      | `(?P<quoted>[^`\n]*)`
      | (?P<name>[A-Za-z.][\w.]*)
      | (?P<colons>:::?)
      | (?P<mark>\S)
    """,
    re.VERBOSE | re.DOTALL,
)
_CONDITIONS = {"function", "interactive", "FALSE"}
_CLOSE = {"(": ")", "[": "]", "{": "}"}
BASE_PACKAGES = frozenset(
    [
        "base",
        "compiler",
        "datasets",
        "grDevices",
        "graphics",
        "grid",
        "methods",
        "parallel",
        "splines",
        "stats",
        "stats4",
        "tcltk",
        "tools",
        "utils",
    ]
)


@dataclass(frozen=True, slots=True)
class Token:
    """A word or a mark; `text` of a string is what stands between its quotes."""

    kind: str
    text: str
    line: int


def tokens(text: str) -> list[Token]:
    """The file's tokens without its comments. Text that is no R gives tokens too: nothing here fails."""
    found: list[Token] = []
    at, line = 0, 1
    while match := _TOKEN.search(text, at):
        line += text.count("\n", at, match.start())
        end = match.end()
        if match["raw"]:
            close = f"{_CLOSE[match['open']]}{match['dashes']}{match['raw']}"
            stop = text.find(close, end)
            inner = text[end:] if stop < 0 else text[end:stop]
            end = len(text) if stop < 0 else stop + len(close)
            found.append(Token("string", inner, line))
        elif match["string"]:
            found.append(Token("string", match["string"][1:-1], line))
        elif match["quoted"] is not None:
            found.append(Token("name", match["quoted"], line))
        elif match["comment"] is None:
            kind = str(match.lastgroup)
            found.append(Token(kind, match[kind], line))
        line += text.count("\n", match.start(), end)
        at = end
    return found


def packages(text: str) -> frozenset[str]:
    """Packages that are named in library(), require() or before ::, without those that are part of R."""
    stream = tokens(text)
    named = set()
    for index, token in enumerate(stream):
        following = [one.text for one in stream[index + 1 : index + 3]]
        if token.kind == "name" and token.text in {"library", "require"} and following[:1] == ["("]:
            if len(following) > 1 and stream[index + 2].kind in {"name", "string"}:
                named.add(following[1])
        elif token.kind == "name" and index + 1 < len(stream) and stream[index + 1].kind == "colons":
            named.add(token.text)
    return frozenset(named - BASE_PACKAGES)


def call_at_top(text: str, function: str) -> int | None:
    """The line on which a function is called while the file is loaded: outside of functions and `if (interactive())`."""
    depth = 0
    stream = tokens(text)
    for index, token in enumerate(stream):
        if token.kind == "mark":
            depth += (token.text == "{") - (token.text == "}")
        called = (
            token.kind == "name"
            and token.text == function
            and [one.text for one in stream[index + 1 : index + 2]] == ["("]
        )
        if called and depth == 0 and not _guarded(stream[:index], token.line):
            return token.line
    return None


def _guarded(before: list[Token], line: int) -> bool:
    """Whether what leads to a call on this line says that it is not made now: a condition, or a function's head."""
    same = [one.text for one in before if one.line == line]
    earlier = [one for one in before if one.line < line]
    if not same and earlier and earlier[-1].text in {")", "else"}:
        same = [one.text for one in earlier if one.line == earlier[-1].line]
    return not _CONDITIONS.isdisjoint(same)
