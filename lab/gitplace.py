"""Where the lab's git server is, and its teams and repositories: for tests, the demonstration and people.

build/lab/git.json says it all (`Place`). A team is a file with a password, a repository a bare directory below the
team's; making one needs no request, because both are read by the server each time. Nothing here prints a password.
"""

import json
import os
import re
import secrets
import shlex
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path

from lab import files
from lab.errors import LabError

_TEAM = re.compile("[a-z0-9][a-z0-9-]{0,62}")
_REPOSITORY = re.compile("[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, slots=True)
class Place:
    """A git server: its addresses, its authority's certificate, and the directories it serves from."""

    url_inside: str  # for pods
    url_host: str  # for this machine
    ca: str  # file
    access_log: str  # file; "method path status wanted" per request
    repositories: str  # directory; <team>/<repository>.git
    teams: str  # directory; a file per team, its password in it

    @classmethod
    def read(cls, path: Path) -> "Place":
        """The server that a git.json describes. Raises LabError when there is none."""
        try:
            return cls(**json.loads(path.read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            raise LabError(f"{path} does not tell where the git server is; `make lab-up` writes it.") from None

    def write(self, path: Path) -> None:
        """Write the git.json."""
        files.write(path, json.dumps(asdict(self), indent=1) + "\n", mode=0o600)

    def password_file(self, team: str) -> Path:
        """The file with the team's password, made if the team is new."""
        _check(_TEAM, team, "team")
        path = Path(self.teams, team)
        if not path.exists():
            draft = path.with_name(f".{team}.{os.getpid()}.{secrets.token_hex(4)}")
            files.write(draft, secrets.token_urlsafe(24) + "\n", mode=0o600)
            try:
                path.hardlink_to(draft)  # two may make the same team at the same moment: the first one wins
            except FileExistsError:
                pass
            finally:
                draft.unlink()
        return path

    def password(self, team: str) -> str:
        """The team's password, made if the team is new; its user is called like the team."""
        return self.password_file(team).read_text().strip()

    def login(self, team: str) -> dict[str, str]:
        """Settings with which git on this machine may do what the team may, at this server only."""
        # Not git's own `store`: it forgets a password that was refused once, and writes its file again at each use.
        answer = f"echo username={team}; echo password=$(cat {shlex.quote(str(self.password_file(team)))})"
        helper = f'!f() {{ test "$1" != get || {{ {answer}; }}; }}; f'
        return {"http.sslCAInfo": self.ca, f"credential.{self.url_host}.helper": helper}

    def create(self, team: str, repository: str) -> Path:
        """The bare repository, made if it is not there; its branch is called main."""
        _check(_REPOSITORY, repository, "repository")
        self.password_file(team)
        path = Path(self.repositories, team, f"{repository}.git")
        if not path.exists():
            argv = ["git", "init", "--quiet", "--bare", "--initial-branch=main", "--template=", str(path)]
            clean = {
                "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
                "GIT_CONFIG_NOSYSTEM": "1",
                "HOME": "/nonexistent",
            }
            subprocess.run(argv, env=clean, check=True)
        return path

    def remove(self, team: str, repository: str) -> None:
        """Delete a repository, and mend whatever fault it had."""
        self.fault_file(team, repository).unlink(missing_ok=True)
        files.remove_tree(Path(self.repositories, team, f"{repository}.git"))

    def fault_file(self, team: str, repository: str) -> Path:
        """The file that breaks a repository while it is there: `down`, `slow` or `redirect <address>`."""
        return Path(self.repositories, team, f"{repository}.fault")


def describe(place: Place, team: str, repository: str) -> str:
    """How a person uses a repository, without its password."""
    password = place.password_file(team)
    settings = " ".join(f"-c {shlex.quote(f'{name}={value}')}" for name, value in place.login(team).items())
    here, inside = (f"{url}/{team}/{repository}.git" for url in (place.url_host, place.url_inside))
    return (
        f"in the cluster  {inside}\nthis machine    {here}\nuser            {team}\npassword        in {password}\n\n"
        # the variable wins over the setting, and this machine may have one
        f"GIT_SSL_CAINFO={place.ca} git clone {settings} {here}\n"
        f"kubectl create secret generic git --from-literal=username={team} --from-file=password={password} "
        f"--from-file=ca.crt={place.ca}"
    )


def _check(pattern: re.Pattern[str], name: str, what: str) -> None:
    if not pattern.fullmatch(name):
        raise LabError(f"{name!r} cannot be the name of a {what}: it has to match {pattern.pattern}.")
