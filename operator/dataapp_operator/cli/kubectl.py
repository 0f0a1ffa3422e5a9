"""The one way to the cluster: the person's own kubectl, as a program.

Which cluster, as whom and through what is kubectl's business; ``--context``, ``--kubeconfig`` and ``--namespace`` are
handed to it. Command lines are lists, so nothing that was typed is ever read by a shell.
"""

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dataapp_operator.cli import complaints
from dataapp_operator.cli.errors import CliError
from dataapp_operator.cli.murmur import Murmur

Json = dict[str, Any]

APPS = "dataapps.dataapps.dev"
RELEASES = "appreleases.dataapps.dev"
PATIENCE = 2.0
"""Seconds after which what kubectl says is shown while it still runs: it may be asking for a login."""
_REQUEST_TIMEOUT = "--request-timeout=20s"


@dataclass(frozen=True, slots=True)
class Kubectl:
    """kubectl, with the options that every call of it gets."""

    options: tuple[str, ...] = ()
    program: str = "kubectl"

    @classmethod
    def of(
        cls, *, context: str | None = None, kubeconfig: str | None = None, namespace: str | None = None
    ) -> "Kubectl":
        """With what a person typed."""
        given = {"context": context, "kubeconfig": kubeconfig, "namespace": namespace}
        return cls(tuple(f"--{name}={value}" for name, value in given.items() if value))

    def one(self, kind: str, name: str) -> Json:
        """An object by its name. NotFound where there is none."""
        return _object(self.run("get", kind, name, "--output=json"))

    def several(self, kind: str, *, selector: str = "", everywhere: bool = False) -> list[Json]:
        """The objects of a kind, in the namespace or in all of them."""
        where = (*(("--all-namespaces",) if everywhere else ()), *((f"--selector={selector}",) if selector else ()))
        items = _object(self.run("get", kind, *where, "--output=json")).get("items")
        return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []

    def annotate(self, kind: str, name: str, changes: Mapping[str, str | None], *, version: str) -> None:
        """Set annotations (None: take it away), if the object still is at ``version``; Conflict where it is not."""
        words = [f"{key}-" if value is None else f"{key}={value}" for key, value in changes.items()]
        self.run("annotate", kind, name, "--overwrite", f"--resource-version={version}", *words)

    def run(self, *args: str) -> str:
        """What a call prints. A call that fails raises what its words mean."""
        process = self.start(*args, _REQUEST_TIMEOUT)
        assert process.stdout is not None  # noqa: S101 - start() made the pipes
        assert process.stderr is not None  # noqa: S101
        murmur = Murmur(process.stderr, patience=PATIENCE)
        with process:
            try:
                murmur.start()
                printed = process.stdout.read()
                process.wait()
            except BaseException:
                process.kill()  # a person who presses Ctrl-C does not wait for it
                raise
            finally:
                said = murmur.words()
        if process.returncode != 0:
            raise complaints.failure(said, process.returncode)
        return printed.decode("utf-8", "replace")

    def start(self, *args: str) -> subprocess.Popen[bytes]:
        """A running kubectl, with pipes for what it prints and says; its input is the terminal's, for a login."""
        try:
            return subprocess.Popen(
                [self.program, *args, *self.options], stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
        except FileNotFoundError:
            raise CliError(
                "there is no kubectl on your PATH, and everything is asked through it: install it first"
                " (https://kubernetes.io/docs/tasks/tools)"
            ) from None
        except OSError as error:
            raise CliError(f"kubectl cannot be started: {error}") from None


def _object(text: str) -> Json:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise CliError("what kubectl printed is not an object in JSON; `kubectl version` says whether it is very old")
    return found
