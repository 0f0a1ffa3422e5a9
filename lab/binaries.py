"""Stage binaries: every program of the cluster, compiled once from its Go module into the shared cache.

A binary lies in <cache>/bin/<name>-<version>/<name>, and is there only when whole: it is built in a draft directory
and renamed. Nothing prebuilt is fetched, except Go's compiler and helm, which come as Python packages from PyPI.
The compiler's caches (several GB) are our own and are dropped when all builds have succeeded; after a failure they
stay, so that the next attempt goes on where this one stopped.
"""

import json
import re
import shutil
import sys
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from lab import files, lock
from lab.context import Lab
from lab.errors import LabError


@dataclass(frozen=True, slots=True)
class Build:
    """One program: the module under lab/modules, the package in it, the table of versions.toml, usual seconds."""

    name: str
    module: str
    package: str
    versioned_by: str
    seconds: int


def _kubernetes(name: str, seconds: int) -> Build:
    return Build(name, "k8s", f"k8s.io/kubernetes/cmd/{name}", "kubernetes", seconds)


BUILDS = (
    Build("etcd", "etcd", "go.etcd.io/etcd/server/v3", "etcd", 60),
    Build("coredns", "coredns", ".", "coredns", 120),
    _kubernetes("kube-apiserver", 360),
    _kubernetes("kubelet", 70),
    _kubernetes("kube-controller-manager", 55),
    _kubernetes("kube-proxy", 15),
    _kubernetes("kubectl", 40),
    _kubernetes("kube-scheduler", 10),
    Build("buildkitd", "buildkit", "github.com/moby/buildkit/cmd/buildkitd", "buildkit", 110),
    Build("buildctl", "buildkit", "github.com/moby/buildkit/cmd/buildctl", "buildkit", 10),
)
ON_DEMAND = (Build("kwok", "kwok", "sigs.k8s.io/kwok/cmd/kwok", "kwok", 80),)  # for a bench; the lab does without
VENVS = {"helm": "helm", "traefik": "traefik", "uv": "uv"}  # program -> table of versions.toml naming its package


def path(lab: Lab, name: str) -> Path:
    """Where a program is. Raises LabError when it has not been made yet."""
    target = _venv_program(lab, name) if name in VENVS else _target(lab, name)
    if target.exists():
        return target
    if lab.provider != "native" and name in ("kubectl", "helm"):
        own = shutil.which(name)
        if own:
            return Path(own)
        raise LabError(f"{name} is not installed on this machine; it is needed with LAB={lab.provider}.")
    raise LabError(f"{name} is not in the cache {lab.cache / 'bin'} yet: run `python3 -m lab up --until binaries`.")


def run(lab: Lab) -> None:
    """Have every program in the cache."""
    have(lab, [build.name for build in BUILDS])
    if not _target(lab, "pause").exists():
        with lab.step("compiling pause", 1):
            _pause(lab)
    venv(lab, "helm")


def have(lab: Lab, names: Collection[str]) -> None:
    """Have these programs of BUILDS or ON_DEMAND in the cache, whoever provides the cluster; returns at once when they are."""

    def missing() -> list[Build]:
        known = (*BUILDS, *ON_DEMAND)
        return [build for build in known if build.name in names and not _target(lab, build.name).exists()]

    if missing():
        with lock.cache_lock(lab, "binaries"):
            _compile(lab, missing())


def _target(lab: Lab, name: str) -> Path:
    tables = {build.name: build.versioned_by for build in (*BUILDS, *ON_DEMAND)}
    version = lab.versions[tables.get(name, name)]["version"] if tables.get(name, name) in lab.versions else None
    if version is None:
        raise LabError(f"The lab knows no program called {name}; its programs are listed in lab/binaries.py.")
    return lab.cache / "bin" / f"{name}-{version}" / name


def _compile(lab: Lab, missing: list[Build]) -> None:
    """Build what is missing, in order, each kept as soon as it is done."""
    files.need_space(lab.cache, gib=12, what_for="compiling the cluster's programs (most of it only while it runs)")
    go = go_tool(lab)
    for build in missing:
        with lab.step(f"compiling {build.name} {lab.versions[build.versioned_by]['version']}", build.seconds):
            _compile_one(lab, go, build)
    with lab.step("dropping the compiler's caches", 5):
        _drop_caches(lab)


def _drop_caches(lab: Lab) -> None:
    for name in ("go-build", "go-mod", "go-path"):
        files.remove_tree(lab.cache / name)


def _compile_one(lab: Lab, go: Path, build: Build) -> None:
    target = _target(lab, build.name)
    draft = target.parent.with_name(f".{target.parent.name}.draft")
    files.remove_tree(draft)
    draft.mkdir(parents=True)
    lab.run(
        ["nice", "-n", "5", go, "build", "-trimpath", "-ldflags", _ldflags(lab, build),
         "-o", draft / build.name, build.package],
        cwd=lab.checkout / "lab" / "modules" / build.module, env=go_environment(lab), log="build",
    )  # fmt: skip
    files.remove_tree(target.parent)
    draft.rename(target.parent)


def _ldflags(lab: Lab, build: Build) -> str:
    """Small binaries; Kubernetes' carry their version, else version skew checks read v0.0.0."""
    flags = "-s -w"
    if build.versioned_by == "kubernetes":
        version = lab.versions["kubernetes"]["version"]
        major, minor, _ = version.split(".")
        for name, value in (("gitVersion", f"v{version}"), ("gitMajor", major), ("gitMinor", minor)):
            flags += f" -X k8s.io/component-base/version.{name}={value}"
    return flags


def go_environment(lab: Lab) -> dict[str, str]:
    """Environment of Go's commands: caches of our own inside the lab's cache, no other toolchain, no C."""
    return {
        "CGO_ENABLED": "0",
        "GOTOOLCHAIN": "local",
        "GOFLAGS": "-buildvcs=false",
        "GOWORK": "off",
        "GOCACHE": str(lab.cache / "go-build"),
        "GOMODCACHE": str(lab.cache / "go-mod"),
        "GOPATH": str(lab.cache / "go-path"),
    }


def go_tool(lab: Lab) -> Path:
    """A Go compiler that is new enough: the machine's own, else the Python package named in versions.toml."""
    wanted = tuple(int(part) for part in lab.versions["go"]["minimum"].split("."))
    places = f"{lab.environment()['PATH']}:/usr/local/go/bin"
    own = shutil.which("go", path=places)
    if own:
        told = lab.run([own, "version"], log="build", env={"GOTOOLCHAIN": "local"}, check=False)
        found = re.search(r"go(\d+)\.(\d+)(?:\.(\d+))?", told)
        if found and tuple(int(part or 0) for part in found.groups()) >= wanted:
            return Path(own)
    home = _venv(lab, lab.versions["go"]["package"], lab.versions["go"]["version"], usually=40)
    for candidate in sorted([*home.glob("bin/go"), *home.glob("lib/python*/site-packages/**/bin/go")]):
        return candidate
    raise LabError(
        f"The package {lab.versions['go']['package']} did not bring a `go` program; remove {home} and retry."
    )


def go_module(lab: Lab, table: str) -> Path:
    """The source tree of the Go module named in versions.toml's `table` (keys module, version), kept in the cache."""
    name, version = lab.versions[table]["module"], lab.versions[table]["version"]
    target = lab.cache / "modules" / f"{table}-{version}"
    with lock.cache_lock(lab, "binaries"):  # the compiler's caches are shared with the builds
        if not target.exists():
            with lab.step(f"fetching the Go module {name} {version}", 5):
                answer = lab.run(
                    [go_tool(lab), "mod", "download", "-json", f"{name}@v{version}"],
                    cwd=lab.cache, env=go_environment(lab), log="build",
                )  # fmt: skip
                draft = target.with_name(f".{target.name}.draft")
                files.remove_tree(draft)
                shutil.copytree(json.loads(answer)["Dir"], draft)
                draft.rename(target)
                _drop_caches(lab)
    return target


def venv(lab: Lab, program: str) -> Path:
    """A program that comes as a Python package (helm, traefik, uv), installed into the cache; returns its path."""
    table = lab.versions[VENVS[program]]
    _venv(lab, table["package"], table["version"], usually=10)
    return path(lab, program)


def _venv_program(lab: Lab, program: str) -> Path:
    table = lab.versions[VENVS[program]]
    return lab.cache / "venvs" / f"{table['package']}-{table['version']}" / "bin" / program


def _venv(lab: Lab, package: str, version: str, *, usually: int) -> Path:
    """A virtual environment with one package; it counts only once its mark was written, after everything else."""
    home = lab.cache / "venvs" / f"{package}-{version}"
    if (home / ".whole").exists():
        return home
    with lock.cache_lock(lab, "venvs"), lab.step(f"installing {package} {version} from PyPI", usually):
        files.remove_tree(home)
        lab.run([_system_python(), "-m", "venv", home], log="build")
        lab.run(
            [home / "bin" / "pip", "install", "--no-input", "--disable-pip-version-check", "--only-binary=:all:",
             f"{package}=={version}"],
            log="build",
        )  # fmt: skip
        files.write(home / ".whole", "")
    return home


def _system_python() -> str:
    """The machine's Python rather than a virtual environment's, which may vanish before the cache does."""
    return "/usr/bin/python3" if Path("/usr/bin/python3").exists() else sys.executable


_PAUSE = (
    "#include <signal.h>\n#include <unistd.h>\nstatic void end(int s) { (void)s; _exit(0); }\n"
    "int main(void) { signal(SIGINT, end); signal(SIGTERM, end); for (;;) pause(); }\n"
)


def _pause(lab: Lab) -> None:
    """The process that keeps a pod's namespaces open: it waits for SIGTERM, statically linked."""
    target = _target(lab, "pause")
    draft = target.parent.with_name(f".{target.parent.name}.draft")
    files.remove_tree(draft)
    draft.mkdir(parents=True)
    (draft / "pause.c").write_text(_PAUSE)
    lab.run(["gcc", "-static", "-O2", "-s", "-o", draft / "pause", draft / "pause.c"], log="build")
    draft.rename(target.parent)
