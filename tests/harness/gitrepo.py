"""Repositories on a real git server (tests/harness/gitserver.py), written to with real git.

Every git command runs in an environment of its own: no setting, hook or credential of this machine has a part in it.
"""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tests.harness.cluster import Json
from tests.harness.gitserver import GitServer, Request

__all__ = ["GitError", "GitServer", "Repo", "Request"]

_FAULTS = re.compile(r"down|slow|redirect https?://\S+")
_SETTINGS = {
    "user.name": "A Scientist",
    "user.email": "scientist@example.org",
    "commit.gpgSign": "false",
    "credential.helper": "",  # none of the machine's
    "protocol.file.allow": "never",
    "core.autocrlf": "false",
}


class GitError(AssertionError):
    """git said no; the message is its own."""


class Repo:
    """One repository and a working copy of it, on its branch main. Give the working copy back with `close()`."""

    def __init__(self, server: GitServer, team: str, name: str) -> None:
        self.server, self.team, self.name = server, team, name
        self.bare = server.place.create(team, name)
        self.work = Path(tempfile.mkdtemp(prefix="dataapp-repo-"))
        self.git("init", "--quiet", "--initial-branch=main", "--template=")
        self.git("remote", "add", "origin", self.url_host)

    @property
    def url(self) -> str:
        """Its address for pods."""
        return f"{self.server.place.url_inside}/{self.team}/{self.name}.git"

    @property
    def url_host(self) -> str:
        """Its address for this machine."""
        return f"{self.server.place.url_host}/{self.team}/{self.name}.git"

    def git(self, *args: str, at: str | None = None) -> str:
        """Run git in the working copy; `at` (RFC 3339) is the date of what it makes. Raises GitError with its words."""
        settings = _SETTINGS | self.server.place.login(self.team)
        words = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        environment = {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"), "HOME": str(self.work), "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C.UTF-8", "NO_PROXY": "*",
            **({"GIT_AUTHOR_DATE": at, "GIT_COMMITTER_DATE": at} if at else {}),
        }  # fmt: skip
        done = subprocess.run(
            ["git", *words, *args],
            cwd=self.work, env=environment, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        if done.returncode != 0:
            raise GitError(f"git {' '.join(args)}: {done.stderr.strip()}")
        return done.stdout.strip()

    @property
    def head(self) -> str:
        """The commit that the working copy is at."""
        return self.git("rev-parse", "HEAD")

    def commit(
        self, files: Mapping[str, str | bytes | None] | None = None, message: str = "A change", *, at: str | None = None
    ) -> str:
        """Write these files (None deletes one) and commit; returns the commit. It is not on the server before `push()`."""
        for name, content in (files or {}).items():
            path = self.work / name
            if content is None:
                path.unlink()
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        if files:
            self.git("add", "--force", "--", *files)
        self.git("commit", "--quiet", "--allow-empty", "-m", message, at=at)
        return self.head

    def symlink(self, path: str, target: str) -> str:
        """Commit a symbolic link; returns the commit."""
        (self.work / path).parent.mkdir(parents=True, exist_ok=True)
        (self.work / path).symlink_to(target)
        self.git("add", "--force", "--", path)
        return self.commit(message=f"Link {path}")

    def submodule(self, path: str, url: str, commit: str = "1" * 40) -> str:
        """Commit a submodule as it stands in a tree, whatever its address is; returns the commit."""
        with (self.work / ".gitmodules").open("a") as modules:
            modules.write(f'[submodule "{path}"]\n\tpath = {path}\n\turl = {url}\n')
        self.git("add", "--", ".gitmodules")
        self.git("update-index", "--add", "--cacheinfo", f"160000,{commit},{path}")
        return self.commit(message=f"Submodule {path}")

    def push(self, *options: str) -> str:
        """Push the branch and all tags; returns the commit."""
        self.git("push", "--quiet", *options, "origin", "HEAD", "refs/tags/*:refs/tags/*")
        return self.head

    def force_push(self) -> str:
        """The same for a history that was written anew."""
        return self.push("--force")

    def branch(self, name: str) -> None:
        """Go on with this branch, made here if it is new."""
        self.git("checkout", "--quiet", *([] if self._has(f"refs/heads/{name}") else ["-b"]), name)

    def tag(self, name: str, *, message: str = "", move: bool = False) -> None:
        """Tag the commit, with an object of its own when there is a message; `push()` takes it along."""
        self.git("tag", *(["--force"] if move else []), *(["-a", "-m", message] if message else []), name)

    def push_to(self, ref: str) -> None:
        """Push the commit under a full ref, such as refs/pull/1/head; from nothing with `delete_ref`."""
        self.git("push", "--quiet", "--force", "origin", f"HEAD:{ref}")

    def delete_ref(self, ref: str) -> None:
        """Delete a branch, tag or full ref on the server, and a tag here too."""
        self.git("push", "--quiet", "origin", f":{ref}")
        if self._has(f"refs/tags/{ref}"):
            self.git("tag", "-d", ref)

    def rewind(self, to: str) -> None:
        """Put the branch back to an earlier commit, for a `force_push()`."""
        self.git("reset", "--quiet", "--hard", to)

    def fault(self, what: str | None) -> None:
        """Break it: `down` (503), `slow` (a byte a second), `redirect https://…` (302); None mends it."""
        path = self.server.place.fault_file(self.team, self.name)
        if what is None:
            path.unlink(missing_ok=True)
            return
        assert _FAULTS.fullmatch(what), what
        path.write_text(what)

    def requests(self) -> list[Request]:
        """What was asked of it so far, the pushes of this class included."""
        return self.server.requests(self.team, self.name)

    def count(self, wanted: str) -> int:
        """How many answered requests wanted `ls-refs`, `fetch` or `push`."""
        return sum(one.wanted == wanted and one.status == 200 for one in self.requests())

    def secret_manifest(self, namespace: str, name: str) -> Json:
        """The Secret with which it is read."""
        return self.server.secret_manifest(self.team, namespace, name)

    def delete(self) -> None:
        """Delete it on the server."""
        self.server.place.remove(self.team, self.name)

    def close(self) -> None:
        """Remove the working copy; the server keeps the repository."""
        shutil.rmtree(self.work, ignore_errors=True)

    def _has(self, ref: str) -> bool:
        return bool(self.git("for-each-ref", ref))
