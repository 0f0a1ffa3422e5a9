"""Stopping a lab and taking away every trace of it: processes, pods, mounts, network, groups, directories.

`stop` ends everything that runs and leaves the state directory, so that the same checkout can come back to its
cluster (this is what a take-over does to the other one). `remove` also deletes the state. Both are safe on a lab
that is half up, half down, or was killed in the middle of either.
"""

import contextlib
import socket
from pathlib import Path

from lab import cgroups, containers, controlplane, lock, mounts, network, node, processes, services, settings
from lab.context import Lab
from lab.errors import LabError
from lab.lock import RUN
from lab.progress import say

# users of the cluster first, the cluster's memory last
_ORDER = (
    "kube-proxy",
    "kubelet",
    "coredns",
    "docker-registry",
    *services.COMPONENTS,
    *reversed(controlplane.COMPONENTS),
)


def stop(lab: Lab) -> None:
    """End everything of this lab that runs, and its traces in the kernel; its state directory stays."""
    known = (*_ORDER, *node.COMPONENTS)
    with lab.step("stopping the kubelet and removing all pods", 5):
        for name in set(lab.names()) - set(known):  # started by later stages, beside the cluster
            lab.stop(name)
        lab.stop("kubelet")
        _empty(lab)
        lab.stop("containerd")
        containers.kill_shims()
    with lab.step("stopping the control plane", 3):
        for name in _ORDER:
            lab.stop(name)
        for record in strays(lab):
            processes.end(record, patience=10)
    with lab.step("removing network, mounts and control groups", 2):
        mounts.unmount(lab, RUN)
        mounts.unmount(lab, lab.state)
        network.clean(lab)
        cgroups.remove()
        mounts.remove_tree(RUN / "containerd")
        _links_and_leavings(lab)
        settings.restore(lab)
    (lab.state / "node-proved").unlink(missing_ok=True)


def remove(lab: Lab) -> None:
    """Delete the state directory and what we wrote into the checkout; everything must have been stopped."""
    with lab.step(f"deleting {lab.state}", 1):
        mounts.unmount(lab, lab.state)
        mounts.remove_tree(lab.state)
        holder = lock.owner()
        if holder is not None and not holder.is_of(lab) and Path(holder.checkout) / "build" / "lab" == lab.out:
            return  # another lab of this checkout is up: what stands in build/lab is how people find that one
        for name in ("kubeconfig", "images.json", "git.json", "prometheus.json"):
            (lab.out / name).unlink(missing_ok=True)


def strays(lab: Lab) -> list[processes.Record]:
    """Processes of this lab whose record is lost: one of our programs, with our state directory in its argv."""
    programs = {*controlplane.COMPONENTS, *node.COMPONENTS}
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        argv = processes.argv_of(int(entry.name))
        named = {Path(word).name for word in argv[:4]}  # the git server is a program of Python
        if named & programs and any(f"{lab.state}/" in word for word in argv):
            found += [record for record in processes.find(argv) if record.pid == int(entry.name)]
    return found


def _empty(lab: Lab) -> None:
    """Remove all containers; a containerd that died is started once more for it, so that its records go too."""
    config = lab.state / "containerd.toml"
    if not lab.running("containerd") and config.exists() and (RUN / "containerd").exists():
        with contextlib.suppress(LabError):
            node.start_containerd(lab)
    if lab.running("containerd"):
        containers.wipe(lab)
    else:
        cgroups.kill_all()


def _links_and_leavings(lab: Lab) -> None:
    """Files that the node's programs write outside our directories, each recognised by what is in it."""
    logs = Path("/var/log/containers")
    for link in logs.glob("*.log"):
        if link.is_symlink() and str(link.readlink()).startswith(f"{lab.state}/"):
            link.unlink()
    results = Path("/var/lib/cni/results")
    for result in results.glob("*"):
        if result.name.startswith(f"{network.CNI_NAME}-") or str(RUN) in result.read_text(errors="replace"):
            result.unlink()
    (Path("/var/lib/kubelet/device-plugins/kubelet.sock")).unlink(missing_ok=True)
    shims = Path("/run/containerd")  # where shims and runc keep theirs, whatever containerd's state directory is
    if not (shims / "containerd.sock").exists():  # no other containerd uses it
        _dead_sockets(shims / "s")
    kubelet = Path("/var/lib/kubelet")
    for directory in (
        logs, results, results.parent, kubelet / "device-plugins", kubelet,
        shims / "s", shims / "fifo", shims / "runc" / "k8s.io", shims / "runc", shims,
    ):  # fmt: skip
        with contextlib.suppress(OSError):  # not empty: somebody else's
            directory.rmdir()


def _dead_sockets(place: Path) -> None:
    """Remove the sockets on which nobody listens any more."""
    for path in place.glob("*"):
        with socket.socket(socket.AF_UNIX) as trial:
            try:
                trial.connect(str(path))
            except ConnectionRefusedError:
                path.unlink()
            except OSError:  # not a socket, or gone
                continue


def say_what_stays(lab: Lab) -> None:
    """The closing words of `down`."""
    say(
        f"The lab is down. Kept: the cache {lab.cache} (programs and images; `python3 -m lab down --cache` "
        "removes it too) and the Debian packages."
    )
