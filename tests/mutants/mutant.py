"""One mutation of the source, as data."""

from dataclasses import dataclass
from pathlib import Path

PLAN = Path("dataapp_operator") / "plan"
"""Where the files of the catalogue are, below the directory of the package."""
HOME = "DATAAPP_MUTANT"
"""The environment variable that tells a run in which directory the mutated package is."""
GUARD = "guard-removed"
SWAPPED = "swapped"
PLANNED = "planned-not-persisted"
WAYS = (GUARD, SWAPPED, PLANNED)
"""A condition is left out; two actions change places; what is only planned is taken for what was persisted or seen."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """``old`` occurs exactly once in ``file``; with ``new`` in its place the invariant of this number no longer holds."""

    invariant: int
    way: str
    file: str
    old: str
    new: str
    why: str

    @property
    def name(self) -> str:
        """Short, for people: what it breaks, how and where."""
        return f"{self.invariant} {self.way} ({self.file})"

    def applied(self, package: Path) -> str:
        """The file's text with the mutation. ``package``: the directory that holds the package."""
        text = (package / PLAN / self.file).read_text(encoding="utf-8")
        found = text.count(self.old)
        if found != 1:
            raise ValueError(f"mutant {self.name}: its old text occurs {found} times and not once")
        return text.replace(self.old, self.new)
