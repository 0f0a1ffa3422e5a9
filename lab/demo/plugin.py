"""`kubectl dataapp` as a person types it: the lab's kubectl, which finds the plugin on its PATH."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from lab.demo.stage import NAMESPACE, Stage, SurpriseError


def show(stage: Stage, *words: str, only: Callable[[str], object] = lambda _line: True) -> None:
    """A command and what it prints (or the lines of it that matter here); a surprise when it is refused."""
    print(f"\n  $ kubectl dataapp {' '.join(words)} -n {NAMESPACE}")
    kubectl = Path(stage.kube.kubectl)
    # The plugin lies beside this Python, and asks the cluster through the first kubectl of its PATH.
    path = os.pathsep.join((str(kubectl.parent), str(Path(sys.executable).parent), os.environ["PATH"]))
    done = subprocess.run(
        [kubectl, "dataapp", *words, "-n", NAMESPACE, "--kubeconfig", stage.kube.kubeconfig],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, "PATH": path},
    )
    if done.returncode != 0:
        raise SurpriseError(f"kubectl dataapp {' '.join(words)}: exit code {done.returncode}: {done.stderr.strip()}")
    print("".join(f"  {line}\n" for line in done.stdout.splitlines() if only(line)), flush=True)
