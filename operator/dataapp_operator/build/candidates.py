"""Which files of a directory may be the app: the rules applied to it, in the order in which they are searched.

Python files are judged by their syntax tree, R's by their names. A file that another candidate imports is a module of
that one and no candidate; of two frameworks in one file, one that is supported wins over one that is not.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from posixpath import basename, dirname, join, splitext

from dataapp_operator.api.reasons import Reason
from dataapp_operator.build import r_code
from dataapp_operator.build.python_code import Broken, Code, read_python
from dataapp_operator.build.rules import Framework, Rule, Rules
from dataapp_operator.build.tree import MOST_NAMES, Candidate, DetectionError, Tree, shown

_SURE_LINES = 2  # of the search: their names are those of apps; what follows only may be one


@dataclass(slots=True)
class Search:
    """One look through one tree. `nearly` collects what was close: it is told when nothing fits."""

    tree: Tree
    rules: Rules
    rows: tuple[Framework, ...]
    nearly: list[str] = field(default_factory=list)
    _read: dict[str, Code | Broken | None] = field(default_factory=dict)

    def code(self, file: str) -> Code | Broken | None:
        """What a Python file holds; None for one that is too large to be read."""
        if file not in self._read:
            text = self.tree.contents.get(file)
            self._read[file] = None if text is None else read_python(text)
        return self._read[file]

    def everywhere(self) -> list[Candidate]:
        """All candidates of the tree; of those that are not supported only the ones that could be meant."""
        by_name = [one for file in sorted(self.tree.files) if "/" not in file for one in self._by_name(file)]
        by_code, sure = self._python()
        found = by_name + by_code
        if not sure and any(one.framework.supported for one in found):
            found = [one for one in found if one.framework.supported or one in by_name]
        return found

    def last(self) -> list[Candidate]:
        """Documents: taken for the app only where nothing else is."""
        return [
            Candidate(row, rule.id, file)
            for row in self.rows
            for rule in row.rules
            if rule.last
            for file in sorted(self.tree.files)
            if "/" not in file and _named(file, rule.file)
        ]

    def at(self, file: str) -> list[Candidate]:
        """What this one file may be: the author named it."""
        if file.endswith(".py"):
            return self._of_file(file, sure=True)
        return list(self._by_name(file, asked=True))

    def named_like_an_app(self) -> list[str]:
        """The files of the first line of the search in which there is any."""
        return next((files for files in map(self._in_line, self.rules.search) if files), [])

    def _python(self) -> tuple[list[Candidate], bool]:
        for number, patterns in enumerate(self.rules.search):
            sure = number < _SURE_LINES
            files = self._in_line(patterns)
            found = [one for file in files for one in self._of_file(file, sure=sure)]
            if found:
                return self._without_modules(found), sure
        return [], False

    def _in_line(self, patterns: Iterable[str]) -> list[str]:
        wanted = [pattern.replace("{directory}", self.tree.name) for pattern in patterns]
        return [
            file
            for file in sorted(self.tree.files)
            if file.isprintable()
            and not any(fnmatchcase(basename(file), ignored) for ignored in self.rules.ignored_files)
            and not any(fnmatchcase(dirname(file), ignored) for ignored in self.rules.ignored_directories)
            and any(fnmatchcase(file, one) and file.count("/") == one.count("/") for one in wanted)
        ]

    def _of_file(self, file: str, *, sure: bool) -> list[Candidate]:
        code = self.code(file)
        if code is None:
            self.nearly.append(f"{shown(file)} is too large to be read (more than 1 MiB), or it is no text")
            return []
        if isinstance(code, Broken):
            where = f"{shown(file)} line {code.line}" if code.line else shown(file)
            told = f"{where} is not valid Python: {code.message}"
            if sure:
                raise DetectionError(
                    Reason.NOTHING_DETECTED,
                    f"{told}. Mend it; or, if it is right for a newer Python, set both spec.app.framework and"
                    " spec.build.entrypoint, and it is not read",
                    (file,),
                )
            self.nearly.append(told)
            return []
        found = [one for row in self.rows if row.language == "python" if (one := self._fits(row, file, code))]
        return [one for one in found if one.framework.supported] or found[:1]

    def _fits(self, row: Framework, file: str, code: Code) -> Candidate | None:
        imported = [rule for rule in row.rules if any(code.imports(module) for module in rule.imports)]
        for rule in imported:
            if not rule.makes and not rule.binds:
                return Candidate(row, rule.id, file)
            served = code.object_of(rule.makes) or code.result_in(rule.binds)
            if served:
                return Candidate(row, rule.id, file, served)
        if imported and row.supported:
            classes = sorted({made.rpartition(".")[2] for rule in imported for made in rule.makes})
            self.nearly.append(
                f"{shown(file)} imports {imported[0].imports[0]} and makes no {' or '.join(classes)}(…) at its top level"
            )
        return None

    def _by_name(self, file: str, *, asked: bool = False) -> Iterable[Candidate]:
        for row in self.rows:
            for rule in row.rules:
                if (asked or not (rule.asked or rule.last)) and self._named_so(file, rule):
                    yield Candidate(row, rule.id, file)
                    break

    def _named_so(self, file: str, rule: Rule) -> bool:
        if not rule.file or not _named(basename(file), rule.file):
            return False
        if rule.packages and r_code.packages(self.tree.contents.get(file, "")).isdisjoint(rule.packages):
            return False
        if not rule.beside:
            return True
        there = {other.lower() for other in self.tree.files}
        return any(join(dirname(file), one).lower() in there for one in rule.beside)

    def _without_modules(self, found: list[Candidate]) -> list[Candidate]:
        files = {one.file for one in found}
        modules = {
            file for file in files if any(self._takes(other, file) and not self._takes(file, other) for other in files)
        }
        return [one for one in found if one.file not in modules] or found

    def _takes(self, file: str, other: str) -> bool:
        code = self.code(file)
        module = splitext(other)[0].replace("/", ".")
        return (
            file != other
            and isinstance(code, Code)
            and not code.siblings.isdisjoint({module, basename(splitext(other)[0])})
        )


def _named(file: str, pattern: str) -> bool:
    return fnmatchcase(file.lower(), pattern.lower())


def told(found: list[Candidate]) -> str:
    """Candidates for a sentence."""
    more = f" and {len(found) - MOST_NAMES} more" if len(found) > MOST_NAMES else ""
    return ", ".join(str(one) for one in found[:MOST_NAMES]) + more
