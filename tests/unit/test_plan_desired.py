"""What makes two wishes the same release, and what makes them different ones."""

from typing import Any

import pytest

from dataapp_operator.api.dataapp import AppSpec
from dataapp_operator.plan import desired
from dataapp_operator.plan.wishes import Wish
from tests.property.world import image
from tests.property.world import spec as app_spec

A = {"name": "A", "value": "1"}
B = {"name": "B", "value": "2"}
SECRET = {"name": "A", "valueFrom": {"secretKeyRef": {"name": "db", "key": "k"}}}


def hashed(**app: Any) -> str:
    return desired.config_hash(AppSpec.model_validate({"framework": "streamlit", **app}))


def test_the_hash_is_the_same_in_every_version() -> None:
    """A changed number here means: upgrading the operator releases every app anew."""
    assert hashed() == "3a110ae3e206"
    assert hashed(env=[A, SECRET | {"name": "C"}], replicas={"min": 3}, port=9000) == "d08571fdc064"


@pytest.mark.parametrize(
    ("app", "why"),
    [
        ({"port": 8501}, "the framework's own port, written out"),
        ({"resources": {}}, "an empty object"),
        ({"resources": {"cpu": "100m", "memory": "512Mi"}}, "defaults, written out"),
        ({"replicas": {"min": 1}, "probe": {"startup": "5m"}, "env": []}, "defaults, written out"),
        ({"replicas": {"min": 3}}, "more replicas: the release that serves gets them"),
    ],
)
def test_what_is_said_in_other_words_is_the_same_release(app: dict[str, Any], why: str) -> None:
    assert hashed(**app) == hashed(), why


@pytest.mark.parametrize(
    ("one", "two", "why"),
    [
        ({}, {"port": 9000}, "the port"),
        ({}, {"framework": "shiny-r"}, "the framework: its probe and its port"),
        ({}, {"env": [A]}, "a variable"),
        ({"env": [A]}, {"env": [{"name": "A", "value": "2"}]}, "a value"),
        ({"env": [A]}, {"env": [{"name": "A", "value": ""}]}, "an empty value"),
        ({"env": [A]}, {"env": [SECRET]}, "where a value comes from"),
        (
            {"env": [SECRET]},
            {"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "db", "key": "other"}}}]},
            "a secret's key",
        ),
        ({"env": [A, B]}, {"env": [B, A]}, "the order: $(A) in a later variable means an earlier one"),
        ({}, {"resources": {"memory": "1Gi"}}, "memory"),
        ({}, {"resources": {"cpu": "1"}}, "CPU"),
        ({}, {"replicas": {"min": 1, "sessionsPerReplica": 9}}, "how many a pod lets in"),
        ({}, {"probe": {"startup": "1m"}}, "the patience with its start: it is in the pod"),
    ],
)
def test_what_changes_the_pods_is_another_release(one: dict[str, Any], two: dict[str, Any], why: str) -> None:
    assert hashed(**one) != hashed(**two), why


def test_how_a_release_is_done_is_not_what_it_is() -> None:
    spec = app_spec(image("good", 1))
    other = spec.model_validate(
        spec.wire() | {"environments": [{"name": "env0", "host": "h.test", "release": {"bake": "1h"}}]}
    )
    wish = Wish(image("good", 1), spec.app)
    assert wish.content(spec.environments[0]) == wish.content(other.environments[0])


def test_a_promotion_keeps_the_content_and_takes_the_manner_of_its_environment() -> None:
    spec = app_spec(image("good", 1), environments=2)
    tuned = spec.environments[1].model_copy(
        update={"release": spec.environments[1].release.model_copy(update={"bake": "1h"})}
    )
    wish = Wish(image("good", 1), spec.app, commit="a" * 40, build="sales-12345678", number=7)
    first = desired.release_spec("sales", wish, spec.environments[0], number=7)
    second = desired.release_spec("sales", wish, tuned, number=7)
    same = {"number", "image", "commit", "build", "config_hash", "config", "run"}
    assert second.model_dump(include=same) == first.model_dump(include=same)
    assert (second.environment, second.plan.bake, first.plan.bake) == ("env1", "1h", "30s")
    assert second.plan.slots == first.plan.slots


def test_a_record_is_named_labelled_and_owned() -> None:
    spec = app_spec(image("good", 1))
    frozen = desired.release_spec("sales", Wish(image("good", 1), spec.app), spec.environments[0], number=7)
    manifest = desired.release_manifest(frozen, namespace="team", app_uid="u")
    assert manifest["metadata"]["name"] == "sales-env0-7"
    assert manifest["metadata"]["ownerReferences"][0]["uid"] == "u"
    assert type(frozen).model_validate(manifest["spec"]) == frozen
