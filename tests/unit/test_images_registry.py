"""A recorded digest counts only while the registry has it. The registry here is a small real HTTP server."""

import http.server
import json
import threading
from collections.abc import Iterator

import pytest

from lab.context import LabError
from lab.image_build import Builder
from lab.image_recipe import Recipe
from tests.unit.lab_rig import lab_in

_DIGEST = "sha256:" + "77" * 32


class _Registry(http.server.BaseHTTPRequestHandler):
    held: set[str] = set()  # noqa: RUF012  set anew by each test

    def do_HEAD(self) -> None:
        self.send_response(200 if self.path in self.held else 404)
        self.end_headers()

    def log_message(self, *words: object) -> None:
        """Stay silent."""


@pytest.fixture
def registry() -> Iterator[str]:
    _Registry.held = {f"/v2/apps/one/manifests/{_DIGEST}"}
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Registry) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def recipe(tmp_path) -> Recipe:
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    return Recipe("apps/one", tmp_path / "Dockerfile", usually=1)


def _builder(tmp_path, registry: str, recipe: Recipe, monkeypatch) -> tuple[Builder, list[str]]:
    """A builder whose cache says that the recipe was built, and the list of what it would build."""
    lab = lab_in(tmp_path / "lab")
    lab.registry_push = registry
    record = lab.cache / "images" / "digests" / f"apps.one-{recipe.key()}"
    record.parent.mkdir(parents=True)
    record.write_text(_DIGEST + "\n")
    builder, built = Builder(lab), []
    monkeypatch.setattr(builder, "_build_and_push", lambda one, _name: built.append(one.name) or "sha256:new")
    return builder, built


def test_an_image_that_the_registry_has_is_not_built(tmp_path, registry, recipe, monkeypatch):
    builder, built = _builder(tmp_path, registry, recipe, monkeypatch)
    image = builder.ensure(recipe)
    assert image.ref == f"registry.lab.svc:5000/apps/one@{_DIGEST}"
    assert image.local == f"{registry}/apps/one:{recipe.key()}"
    assert built == []


def test_an_image_that_the_registry_lost_is_built_and_recorded_anew(tmp_path, registry, recipe, monkeypatch, capsys):
    builder, built = _builder(tmp_path, registry, recipe, monkeypatch)
    _Registry.held = set()
    ahead = []
    assert builder.ensure(recipe, before=lambda: ahead.append("base")).ref.endswith("@sha256:new")
    assert (built, ahead) == (["apps/one"], ["base"])
    assert "image apps/one" in capsys.readouterr().out
    (record,) = (builder.home / "digests").iterdir()
    assert record.read_text() == "sha256:new\n"


def test_a_changed_recipe_is_built(tmp_path, registry, recipe, monkeypatch):
    builder, built = _builder(tmp_path, registry, recipe, monkeypatch)
    recipe.dockerfile.write_text("FROM scratch\nUSER 1000\n")
    builder.ensure(recipe)
    assert built == ["apps/one"]


def test_a_silent_registry_is_named_with_what_to_do(tmp_path, registry, recipe, monkeypatch):
    builder, built = _builder(tmp_path, registry, recipe, monkeypatch)
    builder.lab.registry_push = "127.0.0.1:1"
    with pytest.raises(LabError, match=r"registry at 127.0.0.1:1 does not answer .*lab up` starts it"):
        builder.ensure(recipe)
    assert built == []


def test_a_proxy_of_the_machine_is_not_asked_for_the_registry(tmp_path, registry, recipe, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "intranet.example.org")
    builder, built = _builder(tmp_path, registry, recipe, monkeypatch)
    builder.ensure(recipe)
    assert built == []
    assert builder._environment["NO_PROXY"] == "intranet.example.org,127.0.0.1"
    assert json.dumps(builder._environment)  # plain strings all through
