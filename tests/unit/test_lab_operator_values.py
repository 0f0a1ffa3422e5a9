"""What the lab tells the operator's chart about builds: only what the lab has, and only where the chart knows of builds."""

from dataclasses import replace
from pathlib import Path

import pytest

from lab import operator_install
from tests.unit.lab_rig import lab_in

_REFS = {
    "operator": "r/o@sha256:1",
    "builder": "r/builder@sha256:2",
    "bases": {"python": "r/p@sha256:3", "r": "r/r@sha256:4"},
}


def _values(words: list[str]) -> dict[str, str]:
    assert set(words[::2]) <= {"--set", "--set-string"}
    return dict(word.split("=", 1) for word in words[1::2])


def test_registry_images_and_git_server_are_named(tmp_path):
    assert _values(operator_install._build_values(lab_in(tmp_path), _REFS)) == {
        "builds.registry.host": "registry.lab.svc:5000",
        "builds.registry.tokenSecret": "dataapp-operator-registry",
        "builds.registry.insecure": "true",
        "builds.enabled": "true",
        "builds.builderImage.repository": "r/builder",
        "builds.builderImage.digest": "sha256:2",
        "builds.bases.python": "r/p@sha256:3",
        "builds.bases.r": "r/r@sha256:4",
        "sources.allowedHosts": "{git.lab.svc}",
    }


@pytest.mark.parametrize("missing", ["builder", "bases"])
def test_without_the_images_that_builds_need_they_stay_off(tmp_path, missing):
    refs = {name: ref for name, ref in _REFS.items() if name != missing}
    assert _values(operator_install._build_values(lab_in(tmp_path), refs)) == {"sources.allowedHosts": "{git.lab.svc}"}


def test_one_base_is_enough(tmp_path):
    refs = _REFS | {"bases": {"python": "r/p@sha256:3"}}
    named = _values(operator_install._build_values(lab_in(tmp_path), refs))
    assert named["builds.enabled"] == "true"
    assert "builds.bases.r" not in named


def test_a_chart_that_knows_no_builds_gets_no_values(tmp_path):
    chart = tmp_path / "charts" / "dataapp-operator"
    chart.mkdir(parents=True)
    lab = replace(lab_in(tmp_path / "lab"), checkout=Path(tmp_path))
    for text, knows in (("image:\n  builds: 1\n", False), ("image: {}\nbuilds:\n  registry: {}\n", True)):
        (chart / "values.yaml").write_text(text)
        assert operator_install._chart_builds(lab) is knows
