"""lab/versions.toml is the one place of versions: the committed go.mod files must say the same."""

import re

import pytest

from lab import binaries
from lab.context import CHECKOUT, Lab, LabError
from lab.packages import WANTED
from tests.unit.lab_rig import lab_in

_REQUIRED = {
    "k8s": "k8s.io/kubernetes",
    "etcd": "go.etcd.io/etcd/server/v3",
    "coredns": "github.com/coredns/coredns",
    "buildkit": "github.com/moby/buildkit",
    "kwok": "sigs.k8s.io/kwok",
}
_ALL = (*binaries.BUILDS, *binaries.ON_DEMAND)


@pytest.fixture
def lab(tmp_path) -> Lab:
    return lab_in(tmp_path)


@pytest.mark.parametrize("build", _ALL, ids=lambda build: build.name)
def test_a_module_asks_for_the_version_that_the_binary_is_filed_under(build, lab):
    home = CHECKOUT / "lab" / "modules" / build.module
    text = (home / "go.mod").read_text()
    found = re.search(rf"{re.escape(_REQUIRED[build.module])} v(\S+)", text)
    assert found is not None
    assert found[1] == lab.versions[build.versioned_by]["version"]
    assert f"{_REQUIRED[build.module]} v{found[1]} h1:" in (home / "go.sum").read_text()


@pytest.mark.parametrize("module", sorted({build.module for build in _ALL}))
def test_the_go_that_the_lab_fetches_is_new_enough_for_every_module(module, lab):
    """GOTOOLCHAIN=local: a compiler older than the line `go` of a go.mod refuses to build it."""
    text = (CHECKOUT / "lab" / "modules" / module / "go.mod").read_text()
    found = re.search(r"^go (\S+)$", text, re.MULTILINE)
    assert found is not None
    asked = [int(part) for part in found[1].split(".")]
    assert asked <= [int(part) for part in lab.versions["go"]["version"].split(".")]
    assert asked <= [int(part) for part in lab.versions["go"]["minimum"].split(".")]


def test_a_tool_of_a_module_is_what_the_lab_compiles():
    text = (CHECKOUT / "lab" / "modules" / "buildkit" / "go.mod").read_text()
    tools = set(re.findall(r"^\t(github\.com/moby/buildkit/cmd/\S+)$", text, re.MULTILINE))
    assert tools == {build.package for build in binaries.BUILDS if build.module == "buildkit"}


def test_staging_modules_are_all_of_the_same_release(lab):
    minor = lab.versions["kubernetes"]["version"].partition(".")[2]
    text = (CHECKOUT / "lab" / "modules" / "k8s" / "go.mod").read_text()
    replaced = re.findall(r"^\t(k8s\.io/\S+) => \1 v0\.(\S+)$", text, re.MULTILINE)
    assert len(replaced) > 20
    assert {version for _, version in replaced} == {minor}


def test_kubernetes_binaries_carry_their_version(lab):
    flags = binaries._ldflags(lab, next(build for build in binaries.BUILDS if build.name == "kubelet"))
    assert f"gitVersion=v{lab.versions['kubernetes']['version']} " in flags
    assert "gitMajor=1 " in flags


def test_a_half_built_binary_is_not_taken_as_good(lab):
    draft = lab.cache / "bin" / f".etcd-{lab.versions['etcd']['version']}.draft"
    draft.mkdir(parents=True)
    (draft / "etcd").write_bytes(b"half of it")
    with pytest.raises(LabError, match=r"etcd is not in the cache .* yet: run .* --until binaries"):
        lab.binary("etcd")


def test_programs_that_are_there_are_not_compiled(lab, monkeypatch):
    """Images need two of them whoever provides the cluster, so this is asked at every start."""
    names = ("buildkitd", "buildctl")
    for name in names:
        target = lab.cache / "bin" / f"{name}-{lab.versions['buildkit']['version']}" / name
        target.parent.mkdir(parents=True)
        target.touch()
    compiled = []
    monkeypatch.setattr(binaries, "_compile", lambda _lab, missing: compiled.extend(one.name for one in missing))
    binaries.have(lab, names)
    assert compiled == []
    binaries.have(lab, [*names, "etcd"])
    assert compiled == ["etcd"]


def test_a_program_that_the_lab_does_not_make_is_named(lab):
    with pytest.raises(LabError, match="no program called postgres"):
        lab.binary("postgres")


def test_a_virtual_environment_counts_only_with_its_mark(lab):
    """A killed installation leaves files but no mark; the next one starts from nothing."""
    table = lab.versions["helm"]
    home = lab.cache / "venvs" / f"{table['package']}-{table['version']}"
    (home / "bin").mkdir(parents=True)
    assert not (home / ".whole").exists()
    with pytest.raises(LabError, match="helm"):
        lab.binary("helm")


def test_no_package_is_asked_for_twice():
    assert len(set(WANTED)) == len(WANTED)
