"""The page about detection as Markdown, from the rules: what is recognised by what, in which order, and how it starts."""

from collections.abc import Iterator

from dataapp_operator.api.dataapp import DEFAULT_PORTS
from dataapp_operator.build.dependencies import UNREAD
from dataapp_operator.build.rules import Framework, Rule, Rules

HEAD = """# Detection: what the operator takes code for

Generated from `operator/dataapp_operator/build/rules.yaml` by `make generate`. The name of the rule that decided, and the
file it decided by, stand in `status.code.detectedBy` of a DataApp.

What the manifest says is obeyed: `spec.app.framework`, `spec.build.entrypoint` (`app.py`, or `main.py:app` where an object
is served) and `spec.build.dockerfile`. What it does not say is found by the rules below. Nothing is guessed: where two
files, or two frameworks in one file, could be the app, the operator says which, and waits.
"""

DEPENDENCIES = """## Dependencies

One file is used. For Python: `uv.lock` with its `pyproject.toml`, else `requirements.txt`, else `pyproject.toml`. For R:
`renv.lock`, else `DESCRIPTION`, else none.

| trust | what it means | how it is installed |
| --- | --- | --- |
| `locked` | `uv.lock`, or a `requirements.txt` in which everything has one version and a hash; `renv.lock` | exactly these |
| `pinned` | everything that is named has one version (`==`) | these; what they bring as it was on the day of the commit |
| `floating` | anything else; `DESCRIPTION` | the newest that fit, as it was on the day of the commit |
| `none` | R without such a file | only what the base image has |

R packages are those of the base image, none is installed: what `renv.lock` or `DESCRIPTION` asks for must be there, in that
version or within those bounds, or the build fails and lists what was asked for and what there is. `renv` itself is left out.
A Python app without such a file, or with one that does not name the framework, is not built.

Packages come from the package index. What takes them from elsewhere (`-e .`, a file, a git repository) is refused before the
build. `requirements.txt` may take in (`-r`, `-c`) files called `requirements*.txt`, `constraints*.txt` or
`requirements/*.txt`.

These files are not read; where nothing else names the packages, the operator says what to do instead:
"""


def detection(rules: Rules) -> str:
    """The whole page."""
    parts = [
        HEAD,
        "## Frameworks\n",
        "| framework | rule | the entry point is a file that | usual port |\n| --- | --- | --- | --- |",
    ]
    parts += [row for framework in rules.frameworks if framework.supported for row in _rows(framework)]
    parts.append(
        "\nA `Dockerfile` at the top of the directory (or the one that `spec.build.dockerfile` names) says how the image is"
        " made; what the app is, is found by the same rules, or said in `spec.app.framework`. It is not used when"
        " `spec.build.entrypoint` is set and `spec.build.dockerfile` is not. `<framework>.stated` in status means that the"
        " manifest said it and no rule saw it.\n"
    )
    parts.append("Recognised and not built from code yet; `spec.image` or a Dockerfile works today:\n")
    parts.append("| framework | rule | the entry point is a file that | |\n| --- | --- | --- | --- |")
    parts += [row for framework in rules.frameworks if not framework.supported for row in _rows(framework)]
    parts.append(
        "\nIn one file, a supported framework wins over one that is not. Imports are read from the syntax tree: those in `try:`"
        " and `if` count, those in strings and comments do not.\n"
    )
    parts.append(
        "## Where a Python entry point is looked for\n\nThe first line in which there is a candidate decides.\n"
    )
    parts += [f"{number}. {_names(line)}" for number, line in enumerate(rules.search, start=1)]
    parts.append(
        "\nA file that another candidate imports is a module of that one. Never looked at:"
        f" {_names(rules.ignored_files)}, and the directories {_names(rules.ignored_directories)}."
        " `{directory}` is the name of the app's own directory.\n"
    )
    parts.append("## What an entry point must not do\n")
    parts += [
        f"- {framework.title}: call `{one.call}()` while it is loaded. It {one.says}."
        for framework in rules.frameworks
        for one in framework.refuses
    ]
    parts += ["", DEPENDENCIES]
    parts += [f"- `{name}`: {hint}" for name, hint in UNREAD.items()]
    return "\n".join(parts) + "\n"


def _rows(framework: Framework) -> Iterator[str]:
    port = f"{DEFAULT_PORTS[framework.name]}" if framework.name in DEFAULT_PORTS else ""
    for rule in framework.rules:
        yield f"| {framework.title} | `{rule.id}` | {_words(rule)} | {port} |"


def _words(rule: Rule) -> str:
    words = f"imports {_names(rule.imports)}" if rule.imports else f"is called `{rule.file}`"
    if rule.makes:
        words += f" and makes an object of {_names(rule.makes)} at its top level"
    if rule.binds:
        words += f" and gives {_names(rule.binds, 'or')} the result of a call at its top level"
    if rule.beside:
        words += f", beside {_names(rule.beside, 'or')}"
    if rule.packages:
        words += f" and names the package {_names(rule.packages)}"
    if rule.asked:
        words += " (only if `spec.build.entrypoint` names it)"
    if rule.last:
        words += " (only if nothing else is found)"
    return words


def _names(names: tuple[str, ...], between: str = "") -> str:
    return (f" {between} " if between else ", ").join(f"`{name}`" for name in names)
