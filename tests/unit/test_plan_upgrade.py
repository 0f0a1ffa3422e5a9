"""An operator that is upgraded in the middle of a release: the next one knows more fields than the one that wrote.

What the first operator could write is kept as the tree of its fields (`data/fields_of_the_first_operator.json`, from its
custom resource definitions); everything else is taken out of what is persisted, at every phase, in any number of passes.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from dataapp_operator.api.apprelease import AppReleaseSpec, AppReleaseStatus
from dataapp_operator.api.status import DataAppStatus
from tests.property.cluster import Pod
from tests.property.world import World, image
from tests.unit.plan_rig import at_phase, fresh, released

FIELDS = json.loads((Path(__file__).parent / "data" / "fields_of_the_first_operator.json").read_text())
PHASES = ("Deploying", "Checking", "Releasing", "Baking", "Released")


def known(value: Any, fields: Any) -> Any:
    """A value without what the first operator had no field for."""
    if fields is True:
        return value
    if isinstance(value, list):
        return [known(one, fields) for one in value]
    return {key: known(inner, fields[key]) for key, inner in value.items() if key in fields}


def as_the_first_operator_wrote_it(world: World) -> None:
    """All that is persisted loses what came later."""
    status = known(world.status.wire(), FIELDS["dataapps"]["status"])
    assert status != world.status.wire()
    world.status = DataAppStatus.model_validate(status)
    record = FIELDS["appreleases"]
    for key, (spec, told, uid) in world.releases.items():
        older = AppReleaseSpec.model_validate(known(spec.wire(), record["spec"]))
        world.releases[key] = (older, AppReleaseStatus.model_validate(known(told.wire(), record["status"])), uid)


def pods(world: World) -> dict[str, Pod]:
    return {name: pod for name, pod in world.pods.items() if not pod.over and not pod.deleting}


@pytest.mark.parametrize(
    ("phase", "kind"), [*((phase, "good") for phase in PHASES), ("Deploying", "session"), ("Checking", "session")]
)
def test_a_release_that_an_older_operator_began_ends_as_if_it_had_gone_on(phase: str, kind: str) -> None:
    undisturbed = at_phase(phase, kind=kind)
    undisturbed.settle()
    world = at_phase(phase, kind=kind)
    before = pods(world)
    world.die()
    as_the_first_operator_wrote_it(world)
    world.reconcile()
    assert pods(world).keys() >= before.keys(), "an upgrade ends no pod"
    world.settle()
    assert world.end() == undisturbed.end()
    assert max(n for _, n in world.releases) == 2, "an upgrade is no release"


@pytest.mark.parametrize("slots", [1, 2])
def test_an_app_at_rest_keeps_its_pods_and_its_number(slots: int) -> None:
    world = released(slots=slots)
    before = pods(world)
    world.die()
    as_the_first_operator_wrote_it(world)
    world.settle()
    assert pods(world) == before
    assert list(world.releases) == [("env0", 1)]
    world.push(image("good", 2))
    world.settle()
    assert world.status.environment("env0").stable == 2


def test_open_sessions_of_a_draining_release_outlive_the_upgrade() -> None:
    world = at_phase("Baking")
    one = next(pod for pod in world.pods.values() if pod.slot[1] == 1)
    one.sessions, one.clinging = 1, True
    for _ in range(60):
        world.reconcile()
        world.tick(1)
    world.die()
    as_the_first_operator_wrote_it(world)
    for _ in range(60):
        world.reconcile()
        world.tick(1)
    assert one.name in pods(world)


def test_definitions_that_are_older_than_the_operator_stop_no_release() -> None:
    """The API server takes out of every write what it has no field for."""
    world = fresh()
    for _ in range(200):
        world.reconcile()
        world.status = DataAppStatus.model_validate(known(world.status.wire(), FIELDS["dataapps"]["status"]))
        world.tick(1)
    assert world.status.environment("env0").stable == 1
