"""Root file systems from Debian packages, made by mmdebstrap: the ground of the lab's base images.

Where no public image can be pulled, Debian itself is the one source of a file system with correct dependencies. Each is
a tar file in the cache whose name ends in a digest of its package list and suite; it is made once and kept, since it
takes most of the time of a base image.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from lab import files
from lab.context import Lab, LabError

_ALWAYS = ("ca-certificates", "tini")
# Leave out what no program reads: manuals and translations are half of a small system.
_OPTIONS = (
    '--aptopt=APT::Install-Recommends "false"',
    "--dpkgopt=path-exclude=/usr/share/doc/*",
    "--dpkgopt=path-exclude=/usr/share/man/*",
    "--dpkgopt=path-exclude=/usr/share/locale/*",
)
_KEY = 16  # hex digits in a file's name
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


def work(lab: Lab) -> Path:
    """Where programs that make images put what is half-done: on the cache's disk, since /tmp may be a small one."""
    return lab.cache / "images" / "work"


@dataclass(frozen=True, slots=True)
class RootFs:
    """A minimal Debian with these packages; `usually` is how many seconds it takes to make."""

    name: str
    packages: tuple[str, ...]
    usually: int

    def path(self, lab: Lab) -> Path:
        """Where the tar file is, or will be."""
        words = [lab.versions["debian"]["suite"], *sorted({*self.packages, *_ALWAYS}), *_OPTIONS]
        key = hashlib.sha256("\n".join(words).encode()).hexdigest()[:_KEY]
        return lab.cache / "images" / "rootfs" / f"{self.name}-{key}.tar"

    def make(self, lab: Lab) -> None:
        """Make the tar file if it is not there. Call it under the lock of the image cache."""
        target = self.path(lab)
        if target.exists():
            return
        if not _KEYRING.exists():
            raise LabError(
                f"Debian's signing keys ({_KEYRING}) are missing, so its packages cannot be trusted. "
                "Install the package debian-archive-keyring, then run this again."
            )
        files.need_space(lab.cache, gib=3, what_for=f"the file system {self.name}")
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = work(lab) / target.name
        suite = lab.versions["debian"]["suite"]
        argv = [
            "mmdebstrap", "--variant=minbase", "--format=tar", *_OPTIONS,
            f"--include={','.join(sorted({*self.packages, *_ALWAYS}))}", suite, str(draft),
        ]  # fmt: skip
        named, more = self.packages[:5], len(self.packages) - 5
        what = ", ".join(named) + (f" and {more} more" if more > 0 else "")
        with lab.step(f"Debian {suite} with {what}", self.usually):
            try:
                lab.run(argv, log="images", env={"TMPDIR": str(work(lab))})
            except LabError as error:
                raise LabError(
                    f"{error}\nThis needs Debian's package server. If the log says NO_PUBKEY, this machine does not "
                    f"know the keys of {suite} yet: upgrade the package debian-archive-keyring."
                ) from None
        draft.rename(target)
        for path in self.outdated(lab):
            path.unlink()

    def outdated(self, lab: Lab) -> list[Path]:
        """Files of this name that other packages or another suite were in."""
        target = self.path(lab)
        return [path for path in target.parent.glob(f"{self.name}-{'?' * _KEY}.tar") if path != target]
