"""What a directory of code is: which framework, which entry point, which recipe, which dependencies.

What the manifest says is obeyed (spec.app.framework, spec.build.entrypoint, spec.build.dockerfile); the rest is inferred
by the rules of rules.yaml. Nothing is guessed: two candidates are an error that lists them, and every error says what
to write where.
"""

import difflib
from posixpath import dirname, join, normpath

from dataapp_operator.api.code import Dependencies
from dataapp_operator.api.reasons import Reason
from dataapp_operator.build import r_code
from dataapp_operator.build.candidates import Search
from dataapp_operator.build.complaints import ambiguous, nothing, unsupported
from dataapp_operator.build.dependencies import UNREAD, DependencyFileError, python_dependencies, r_dependencies
from dataapp_operator.build.python_code import Code
from dataapp_operator.build.rules import Framework, rules
from dataapp_operator.build.tree import Candidate, Detected, DetectionError, Tree, listed, shown

__all__ = ["Detected", "DetectionError", "Tree", "detect"]

_USUAL_OBJECTS = ("app", "application", "api")


def detect(tree: Tree, *, framework: str | None, entrypoint: str | None, dockerfile: str | None) -> Detected:
    """What the code is and how an image is made of it.

    `framework`, `entrypoint` and `dockerfile` are what the manifest says, None where it says nothing. A Dockerfile at
    the top of the directory is used unless the manifest names an entry point.

    Raises DetectionError: nothing fits, more than one thing fits, or what fits cannot be built.
    """
    if dockerfile is not None:
        _must_exist(tree, dockerfile, "spec.build.dockerfile")
    elif entrypoint is None and "Dockerfile" in tree.files:
        dockerfile = "Dockerfile"
    if dockerfile is not None:
        return _by_dockerfile(tree, framework, entrypoint, dockerfile)
    chosen = _choose(tree, framework, entrypoint)
    _refuse(tree, chosen)
    image = chosen.framework.image
    if image is None:
        raise AssertionError(f"{chosen.framework.name} is supported and has no image in rules.yaml")
    return Detected(
        framework=chosen.framework.name,
        entrypoint=chosen.entrypoint,
        rule=chosen.rule,
        file=chosen.file,
        recipe=f"{chosen.framework.name}/{image.version}",
        dockerfile=None,
        dependencies=_dependencies(tree, chosen),
    )


def _by_dockerfile(tree: Tree, framework: str | None, entrypoint: str | None, dockerfile: str) -> Detected:
    rule, file = "dockerfile.file", dockerfile
    if framework is None:
        try:
            chosen = _choose(tree, None, entrypoint)
        except DetectionError as error:
            names = ", ".join(row.name for row in rules().supported)
            raise DetectionError(
                error.reason,
                f"{shown(dockerfile)} says how the image is made, but not how the app is checked: set spec.app.framework to"
                f" one of {names} (fastapi stands for a plain web server). From the code it cannot be told: {error.message}",
                error.candidates,
            ) from None
        framework, rule, file = chosen.framework.name, chosen.rule, chosen.file
    return Detected(framework, "", rule, file, "dockerfile/1", dockerfile, Dependencies())


def _choose(tree: Tree, framework: str | None, entrypoint: str | None) -> Candidate:
    rows = rules().frameworks if framework is None else (rules().framework(framework),)
    search = Search(tree, rules(), rows)
    if entrypoint is not None:
        return _named(search, framework, entrypoint)
    found = search.everywhere()
    if not found and framework is not None:
        return _stated(search, rules().framework(framework), search.named_like_an_app())
    found = found or search.last()
    if not found:
        raise nothing(search)
    if len(found) > 1 and any(one.framework.supported for one in found):
        raise ambiguous(found)
    if not found[0].framework.supported:
        raise unsupported(found)
    return found[0]


def _named(search: Search, framework: str | None, entrypoint: str) -> Candidate:
    """The candidate that spec.build.entrypoint names: a file, or `file.py:object`."""
    file, _, served = entrypoint.partition(":")
    _must_exist(search.tree, file, "spec.build.entrypoint")
    if framework is not None and (
        served or not file.endswith(".py") or not rules().framework(framework).rules[0].makes
    ):
        # Both are said: the file is read only for what is not said.
        row = rules().framework(framework)
        known = [] if file.endswith(".py") else search.at(file)
        chosen = known[0] if known else _stated(search, row, [file], served)
    else:
        found = search.at(file)
        if not found and framework is not None:
            found = [_stated(search, rules().framework(framework), [file], served)]
        if not found:
            raise nothing(search, only=file)
        if len(found) > 1:
            raise ambiguous(found)
        chosen = found[0]
    if not chosen.framework.supported:
        raise unsupported([chosen])
    return _serving(search, chosen, served)


def _serving(search: Search, chosen: Candidate, served: str) -> Candidate:
    """The candidate with the object that the author names."""
    if not served:
        return chosen
    code = search.code(chosen.file) if chosen.framework.language == "python" else None
    if not any(rule.makes for rule in chosen.framework.rules):
        raise DetectionError(
            Reason.MANIFEST_INVALID,
            f"spec.build.entrypoint names the object {served!r}, but an app of {chosen.framework.title} is a file:"
            f" write {shown(chosen.file)}",
        )
    if not served.isidentifier():
        raise DetectionError(
            Reason.MANIFEST_INVALID,
            f"spec.build.entrypoint: {served!r} is no name of an object; write it like main.py:app",
        )
    if isinstance(code, Code) and served not in code.names:
        raise DetectionError(
            Reason.MANIFEST_INVALID,
            f"spec.build.entrypoint names the object {served!r}, which {shown(chosen.file)} does not have at its top level",
        )
    return Candidate(chosen.framework, chosen.rule, chosen.file, served)


def _stated(search: Search, row: Framework, files: list[str], served: str = "") -> Candidate:
    """The manifest says which framework it is, and the rules do not see it: take the file that is named like an app."""
    files = [file for file in files if file.endswith(".py")] if row.language == "python" else files
    if row.language == "r" and files and not files[0].lower().endswith(".r"):
        files = []
    if not files:
        raise nothing(search)
    if len(files) > 1:
        raise ambiguous([Candidate(row, f"{row.name}.stated", file) for file in files])
    if not served and any(rule.makes for rule in row.rules):
        code = search.code(files[0])
        names = code.names if isinstance(code, Code) else frozenset()
        served = next((name for name in _USUAL_OBJECTS if name in names), "")
        if not served and all(rule.makes or rule.binds for rule in row.rules):
            raise nothing(search)
    return Candidate(row, f"{row.name}.stated", files[0], served)


def _must_exist(tree: Tree, path: str, what: str) -> None:
    if not path.isprintable() or path.startswith(("/", "../")) or normpath(path) != path:
        raise DetectionError(
            Reason.MANIFEST_INVALID,
            f"{what}: write a path from the app's directory, like app.py, instead of {shown(path)}",
        )
    if path not in tree.files:
        near = difflib.get_close_matches(path, sorted(tree.files)[:5000], n=1)
        hint = (
            f"; did you mean {shown(near[0])}?"
            if near
            else f" (it has {listed(sorted(tree.files))})"
            if tree.files
            else ""
        )
        raise DetectionError(Reason.MANIFEST_INVALID, f"{what}: the app's directory has no file {shown(path)}{hint}")


def _refuse(tree: Tree, chosen: Candidate) -> None:
    """An entry point that would start a server of its own while it is loaded."""
    text = tree.contents.get(chosen.file, "")
    search = Search(tree, rules(), ())
    for refusal in chosen.framework.refuses:
        if chosen.framework.language == "r":
            line = r_code.call_at_top(text, refusal.call)
        else:
            code = search.code(chosen.file)
            line = code.start_of(refusal.call) if isinstance(code, Code) else None
        if line is not None:
            raise DetectionError(
                Reason.NOTHING_DETECTED,
                f"{shown(chosen.file)} line {line} calls {refusal.call}(): it {refusal.says}",
                (chosen.file,),
            )


def _dependencies(tree: Tree, chosen: Candidate) -> Dependencies:
    row = chosen.framework
    try:
        if row.language == "r":
            return r_dependencies(tree.files, tree.contents) or _r_named(tree, chosen)
        found = python_dependencies(tree.files, tree.contents)
    except DependencyFileError as error:
        raise DetectionError(Reason.DEPENDENCIES_MISSING, str(error)) from None
    if found is None:
        unread = next((f" ({name} is not read: {hint})" for name, hint in UNREAD.items() if name in tree.files), "")
        lines = " and ".join(choice[0] for choice in row.needs)
        raise DetectionError(
            Reason.DEPENDENCIES_MISSING,
            f"no file says which packages {shown(chosen.file)} needs: add a requirements.txt that names {lines} and whatever"
            f" else it imports, one package a line{unread}",
        )
    for choice in row.needs:
        if found.names.isdisjoint(choice):
            raise DetectionError(
                Reason.DEPENDENCIES_MISSING,
                f"{found.dependencies.source} does not name {' or '.join(choice)}, without which {shown(chosen.file)}"
                f" ({row.title}) cannot run: add it",
            )
    return found.dependencies


def _r_named(tree: Tree, chosen: Candidate) -> Dependencies:
    """Without a file only R, Shiny and what the base image has are there. The packages that the code names beyond those
    are counted: if there are any, the build looks for each of them.
    """
    here = dirname(chosen.file)
    near = {here, join(here, "R")}
    named: set[str] = set()
    for file, text in tree.contents.items():
        if file.lower().endswith(".r") and dirname(file) in near:
            named |= r_code.packages(text)
    return Dependencies(trust="none", count=len(named - {"shiny"}))
