"""What one image is made from, and the key that says whether it has been made already.

A recipe lists every file that goes into the build, and the build sees those and no others. The key is a digest of
all of them, of the Dockerfile, its arguments and the base's own key. So an unchanged image is never built again and a
changed one always is, whatever the clock says about the files.
"""

import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

_NOISE = ("__pycache__", ".DS_Store")


@dataclass(frozen=True, slots=True)
class Image:
    """A made image: the key of its recipe, its name for a FROM on this machine, and its name in the cluster."""

    key: str
    local: str
    ref: str


@dataclass(frozen=True, slots=True)
class Recipe:
    """One image: where it goes in the registry, its Dockerfile, what it stands on, its arguments and its files.

    `base` is handed to the Dockerfile as the argument BASE, and each image of `others` as the argument that it is filed
    under. `files` maps a path in the build context to a file or
    directory that is read for the key (a missing directory counts as empty); `big` does the same for files too large to
    read each time, whose own name already says what they are made of. `usually` is in seconds.
    """

    name: str
    dockerfile: Path
    usually: int
    base: Image | None = None
    others: Mapping[str, Image] = field(default_factory=dict)
    args: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, Path] = field(default_factory=dict)
    big: Mapping[str, Path] = field(default_factory=dict)

    def key(self) -> str:
        """16 hex digits: the same for the same inputs, on any machine and in any checkout."""
        total = hashlib.sha256()
        total.update(self.dockerfile.read_bytes())
        total.update(f"\0{self.base.key if self.base else ''}".encode())
        for argument, image in sorted(self.others.items()):
            total.update(f"\0{argument} {image.key}".encode())
        for argument, value in sorted(self.args.items()):
            total.update(f"\0{argument}={value}".encode())
        for inside, path in self._contents():
            executable = bool(path.stat().st_mode & 0o100)
            total.update(f"\0{inside} {executable} {hashlib.sha256(path.read_bytes()).hexdigest()}".encode())
        for inside, path in sorted(self.big.items()):
            total.update(f"\0{inside} {path.name}".encode())
        return total.hexdigest()[:16]

    def arguments(self) -> dict[str, str]:
        """What the Dockerfile is given: its own arguments, and the images that it stands on."""
        images = {**({"BASE": self.base} if self.base else {}), **self.others}
        return {**self.args, **{argument: image.local for argument, image in images.items()}}

    def assemble(self, context: Path) -> None:
        """Fill the empty directory `context` with the recipe's files, readable by every user."""
        for inside, top in self.files.items():
            directory = (context / inside).parent if top.is_file() else context / inside
            directory.mkdir(parents=True, exist_ok=True)
        for inside, path in self._contents():
            target = context / inside
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
            target.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
        for inside, path in self.big.items():
            os.link(path, context / inside)

    def _contents(self) -> Iterator[tuple[str, Path]]:
        """Path in the context and path on disk of every single file, in a fixed order."""
        for inside, top in sorted(self.files.items()):
            if top.is_file():
                yield inside, top
                continue
            for path in sorted(top.rglob("*")):
                if path.is_file() and path.suffix != ".pyc" and not set(path.parts) & set(_NOISE):
                    yield str(Path(inside) / path.relative_to(top)), path
