"""What the images are made from: Dockerfiles that any builder can use, apps that the contract names, one front."""

import re
import string

import pytest
import yaml

from dataapp_operator.front import settings
from lab import binaries, gateway, image_builder, images, operator_install
from lab.context import CHECKOUT, Lab
from lab.image_recipe import Image
from tests.unit.lab_rig import lab_in

_APPS = CHECKOUT / "examples" / "apps"
_MANIFESTS = CHECKOUT / "lab" / "manifests"
_DOCKERFILES = [CHECKOUT / "Dockerfile", *CHECKOUT.glob("lab/images/*/Dockerfile"), *_APPS.glob("**/*Dockerfile")]
_BASE = Image(key="k", local="l", ref="r")
_NAMES = {
    "streamlit-v1", "streamlit-v2", "streamlit-broken-import", "streamlit-broken-session", "streamlit-nolisten",
    "shiny-v1", "shiny-v2", "shiny-broken-import", "shiny-broken-session",
    "scripted-streamlit", "scripted-shiny", "scripted-shiny-python", "scripted-websocket",
}  # fmt: skip


@pytest.mark.parametrize("path", _DOCKERFILES, ids=lambda path: str(path.relative_to(CHECKOUT)))
def test_a_dockerfile_builds_outside_the_lab_too_and_ends_as_an_ordinary_user(path):
    """The lab's Debian base is made of a tar file, and BuildKit's programs need nothing beside them, so these two have no
    base and no public twin is asked for; a thin app takes its base's user.
    """
    lines = path.read_text().splitlines()
    froms = [line for line in lines if line.startswith("FROM ")]
    if path.parent.name in ("base", "buildkit"):
        assert froms == ["FROM scratch"]
        return
    assert any(re.fullmatch(r"ARG BASE=\S+", line) for line in lines)
    assert froms[0].startswith("FROM ${BASE}")
    if path.name not in ("streamlit.Dockerfile", "scripted.Dockerfile"):
        assert any(re.fullmatch(r"USER [1-9]\d*:[1-9]\d*", line) for line in lines)


def test_there_is_an_app_for_every_name_that_tests_use_and_the_readme_explains_it():
    found = {path.parent.name for script in ("app.py", "app.R") for path in _APPS.glob(f"*/{script}")}
    assert found == _NAMES
    readme = (_APPS / "README.md").read_text()
    assert all(f"| `{name}` |" in readme for name in found)


@pytest.mark.parametrize("name", sorted(name for name in _NAMES if name[-2:] in ("v1", "v2")))
def test_a_healthy_app_says_its_version_everywhere(name):
    version = name[-2:]
    script = next((_APPS / name).glob("app.*")).read_text()
    assert re.search(rf'^(VERSION =|version <-) "{version}"$', script, re.MULTILINE)
    (asset,) = (_APPS / name).glob("*/asset.txt")
    assert asset.read_text() == f"asset of {version}\n"


def test_scripted_python_apps_share_what_breaks_them_and_stand_on_the_base_of_their_framework(tmp_path):
    bases = {name: Image(key=name, local=name, ref=name) for name in ("streamlit", "web", "r")}
    recipes = {name: images.example_app(_APPS / name, bases) for name in _NAMES}
    assert {name: recipe.base.key for name, recipe in recipes.items() if name.startswith("scripted-")} == {
        "scripted-streamlit": "streamlit",
        "scripted-shiny": "r",
        "scripted-shiny-python": "web",
        "scripted-websocket": "web",
    }
    recipes["scripted-websocket"].assemble(tmp_path)
    found = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert {"scripted/breaks.py", "scripted-websocket/serve.py", "scripted-websocket/app.py"} <= found
    assert recipes["scripted-websocket"].args == {"APP": "scripted-websocket"}
    assert recipes["streamlit-v1"].files == {".": _APPS / "streamlit-v1"}


def test_the_fronts_image_holds_the_files_that_the_front_names(tmp_path):
    recipe = images.front(lab_in(tmp_path), _BASE)
    assert set(recipe.files) == set(settings.FILES)
    dockerfile = recipe.dockerfile.read_text()
    assert f"COPY {' '.join(settings.FILES)} {settings.HOME}/" in dockerfile
    entry = re.search(r"^ENTRYPOINT (\[.*\])$", dockerfile, re.MULTILINE)
    command = re.search(r"^CMD (\[.*\])$", dockerfile, re.MULTILINE)
    assert entry is not None
    assert command is not None
    assert (*yaml.safe_load(entry[1]), *yaml.safe_load(command[1])) == settings.COMMAND


def test_versions_come_from_the_one_file(tmp_path):
    lab = lab_in(tmp_path)
    assert images.operator(lab, _BASE).args == {"UV": lab.versions["uv"]["version"]}
    assert f"ARG UV={lab.versions['uv']['version']}" in (CHECKOUT / "Dockerfile").read_text()
    python = image_builder.build_python(lab, _BASE)
    assert python.args == {"UV": lab.versions["uv"]["version"]}
    assert f"ARG UV={lab.versions['uv']['version']}" in python.dockerfile.read_text()
    assert f"ARG BUILDKIT=moby/buildkit:v{lab.versions['buildkit']['version']}-rootless" in _builder(lab)
    assert images.traefik(lab, _BASE).args == {"VERSION": lab.versions["traefik"]["version"]}


def test_a_file_system_is_named_by_its_packages_and_suite(tmp_path):
    lab = lab_in(tmp_path)
    python, r, *_ = images.ROOT_FILE_SYSTEMS
    before = python.path(lab)
    assert before.name.startswith("python-")
    assert r.path(lab).name != before.name
    lab.versions["debian"]["suite"] = "forky"
    assert python.path(lab) != before


def test_no_file_system_is_taken_for_an_outdated_one_of_another_name(tmp_path):
    """`r-packages-….tar` begins with `r-` as well."""
    lab = lab_in(tmp_path)
    paths = {one.name: one.path(lab) for one in images.ROOT_FILE_SYSTEMS}
    assert len(paths) == len(images.ROOT_FILE_SYSTEMS)
    for path in paths.values():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert [one.outdated(lab) for one in images.ROOT_FILE_SYSTEMS] == [[]] * len(paths)
    old = paths["r"].with_name(f"r-{'0' * 16}.tar")
    old.touch()
    assert {one.name: one.outdated(lab) for one in images.ROOT_FILE_SYSTEMS if one.outdated(lab)} == {"r": [old]}


def test_what_a_dockerfile_installs_elsewhere_is_what_the_lab_has_in_its_file_system(tmp_path):
    """Where the base lacks it, apt-get installs it; in the lab nothing is fetched in that step."""
    lab = lab_in(tmp_path)
    packages = {one.name: set(one.packages) for one in images.ROOT_FILE_SYSTEMS}
    r = image_builder.build_r(lab, _BASE).dockerfile.read_text()
    default = re.search(r'^ARG PACKAGES="(.*)"$', r, re.MULTILINE)
    assert default is not None
    assert set(default[1].split()) == packages["r-packages"]
    installed = re.search(r"install -y --no-install-recommends (.*) \\$", _builder(lab), re.MULTILINE)
    assert installed is not None
    assert set(installed[1].split()) - {"ca-certificates", "tini"} == packages["builder"]
    own = (CHECKOUT / "Dockerfile").read_text()
    assert "command -v tini && command -v git" in own
    assert "git" in packages["operator"]


def test_the_builder_runs_without_root_and_may_map_users_all_the_same(tmp_path):
    """With the setuid bit newuidmap is uid 0, who does not own the new user namespace, and an ordinary pod cannot map."""
    text = _builder(lab_in(tmp_path))
    for program, capability in (("newuidmap", "cap_setuid"), ("newgidmap", "cap_setgid")):
        assert f"chmod u-s /usr/bin/{program} && setcap {capability}+ep /usr/bin/{program}" in text
    assert "echo user:100000:65536 | tee /etc/subuid > /etc/subgid" in text


def test_another_buildkit_is_another_builder(tmp_path):
    lab = lab_in(tmp_path)
    assert {build.name for build in binaries.BUILDS if build.module == "buildkit"} == set(image_builder.PROGRAMS)
    for name in image_builder.PROGRAMS:
        target = lab.cache / "bin" / f"{name}-{lab.versions['buildkit']['version']}" / name
        target.parent.mkdir(parents=True)
        target.touch()
    recipe = image_builder.programs(lab)
    assert recipe.args == {"VERSION": lab.versions["buildkit"]["version"]}
    assert set(recipe.big) == set(image_builder.PROGRAMS)
    one, two = (Image(key=key, local=f"localhost/{key}", ref="r") for key in ("aa", "bb"))
    first, second = (image_builder.builder_recipe(lab, _BASE, image) for image in (one, two))
    assert first.key() != second.key()
    assert first.arguments() == {"BASE": "l", "BUILDKIT": "localhost/aa"}


def _builder(lab: Lab) -> str:
    return (lab.checkout / "lab" / "images" / "builder" / "Dockerfile").read_text()


def test_the_operators_image_gets_all_that_its_dockerfile_copies(tmp_path):
    recipe = images.operator(lab_in(tmp_path), _BASE)
    lines = re.findall(r"^COPY (?!--from)(.*) \S+$", recipe.dockerfile.read_text(), re.MULTILINE)
    assert {word for line in lines for word in line.split()} == set(recipe.files)
    allowed = {line[1:] for line in (CHECKOUT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert allowed == set(recipe.files)


def test_the_gateways_manifests_are_whole_once_filled_in():
    values = {"TRAEFIK_IMAGE": "registry/traefik@sha256:aa", "ADDRESS": "10.96.0.9", "HOST_IP": "127.0.0.1"}
    kinds = {}
    for name in ("gateway-service.yaml", "gateway.yaml"):
        text = string.Template((_MANIFESTS / name).read_text()).substitute(values)
        kinds.update({one["kind"]: one for one in yaml.safe_load_all(text)})
    public = kinds["Gateway"]
    assert (public["metadata"]["namespace"], public["metadata"]["name"]) == (gateway.NAMESPACE, gateway.GATEWAY)
    (listener,) = public["spec"]["listeners"]
    assert (listener["name"], listener["port"]) == ("http", kinds["Service"]["spec"]["ports"][0]["port"])
    (container,) = kinds["Deployment"]["spec"]["template"]["spec"]["containers"]
    http = container["ports"][0]
    assert f"{http['hostIP']}:{http['hostPort']}" == gateway.ADDRESS
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_the_environment_classes_use_the_labs_gateway():
    classes = list(yaml.safe_load_all((_MANIFESTS / "environment-classes.yaml").read_text()))
    assert [one["metadata"]["name"] for one in classes] == ["sandbox", "production"]
    for one in classes:
        assert one["spec"]["gateway"] == {"namespace": "gateways", "name": "public", "sectionName": "http"}
        assert one["spec"]["hostTemplate"].endswith(".localhost")
        assert one["spec"]["previewHostTemplate"] == "{app}--r{release}--{environment}--{namespace}.localhost"
    (namespace,) = yaml.safe_load_all(operator_install._NAMESPACE_MANIFEST)
    assert namespace["metadata"]["labels"] == {"pod-security.kubernetes.io/enforce": "restricted"}
