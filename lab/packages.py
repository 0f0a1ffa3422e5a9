"""Stage packages: what the lab needs from Debian, installed by apt when it is missing.

Some of these packages bring a service that Debian starts at once (docker-registry takes port 5000, haproxy starts
empty). The lab only wants the programs, so during the installation a policy file tells Debian not to start
anything, and services of packages that this run installed are not started at boot either.
"""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from lab.context import Lab
from lab.errors import LabError
from lab.progress import say

WANTED = (
    "ca-certificates", "openssl", "gcc", "libc6-dev", "git", "make", "python3-venv", "util-linux", "procps",
    "iproute2", "iptables", "nftables", "conntrack", "ethtool",
    "containerd", "runc", "containernetworking-plugins", "docker-registry", "busybox-static",
    "buildah", "mmdebstrap", "debian-archive-keyring", "haproxy", "tini", "prometheus",
)  # fmt: skip
_PROGRAMS = {
    "busybox-static": "busybox",
    "containerd": "containerd",
    "runc": "runc",
    "docker-registry": "docker-registry",
}
_SERVICES = ("docker-registry", "haproxy", "containerd", "prometheus")
_POLICY = Path("/usr/sbin/policy-rc.d")
_POLICY_TEXT = "#!/bin/sh\n# written by dataapp-lab while it installs packages; safe to remove\nexit 101\n"


def run(lab: Lab) -> None:
    """Have every package installed."""
    _drop_policy()
    absent = missing(lab)
    if not absent:
        return
    if shutil.which("apt-get") is None:
        raise LabError(
            f"These Debian packages are missing and there is no apt-get to install them: {' '.join(absent)}. "
            "Install their equivalents, or use LAB=current with a cluster of your own."
        )
    say(f"  installing from Debian: {' '.join(absent)}")
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    with lab.step("apt-get update", 10):
        lab.run(["apt-get", "update", "-q"], log="apt", env=quiet)
    with lab.step(f"apt-get install ({len(absent)} packages)", 60), _nothing_starts():
        options = ["-y", "-q", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=300"]
        lab.run(["apt-get", "install", *options, *absent], log="apt", env=quiet)
        if shutil.which("systemctl"):
            for service in sorted(set(_SERVICES) & set(absent)):
                lab.run(["systemctl", "disable", f"{service}.service"], log="apt", check=False)
    left = missing(lab)
    if left:
        raise LabError(
            f"apt-get install succeeded, yet these are still missing: {' '.join(left)}. See {lab.log('apt')}."
        )


def missing(lab: Lab) -> list[str]:
    """Packages of the list that are not installed; a program that came some other way counts as installed."""
    answer = lab.run(["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n", *WANTED], log="apt", check=False)
    installed = {line.split()[0] for line in answer.splitlines() if line.endswith(" installed")}
    search = lab.environment()["PATH"]
    return [
        name
        for name in WANTED
        if name not in installed and not (name in _PROGRAMS and shutil.which(_PROGRAMS[name], path=search))
    ]


@contextlib.contextmanager
def _nothing_starts() -> Iterator[None]:
    """Debian's own switch against services that start on installation, left alone where the machine has one."""
    if _POLICY.exists():
        yield
        return
    _POLICY.write_text(_POLICY_TEXT)
    _POLICY.chmod(0o755)
    try:
        yield
    finally:
        _drop_policy()


def _drop_policy() -> None:
    """Remove our policy file, also one that a killed run left behind."""
    if _POLICY.exists() and os.access(_POLICY, os.R_OK) and _POLICY.read_text() == _POLICY_TEXT:
        _POLICY.unlink()
