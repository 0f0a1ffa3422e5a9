"""What else is measured of a release that has visitors: the author's own questions, each with a limit.

Two answers come from the fronts of the release's own replicas and need nothing else: how many answers were failures, and
how long the app took to begin them. All others come from the platform's Prometheus.
"""

from typing import Any, Literal

from pydantic import Field
from pydantic.config import JsonDict

from dataapp_operator.api.base import Duration, Model

COMPARISON = r"^(>|>=|<|<=) *[0-9]+(\.[0-9]+)?$"

_ONE: JsonDict = {
    "x-kubernetes-validations": [
        {
            "rule": "has(self.front) != has(self.prometheus)",
            "message": "say where the number comes from: front (errorRate or latencyP95, counted by the operator itself) or"
            " prometheus.query, one of the two",
        }
    ]
}


class PrometheusQuery(Model):
    """A question to the platform's Prometheus."""

    query: str = Field(
        min_length=1,
        max_length=4096,
        description="PromQL that gives one number. {{namespace}}, {{app}}, {{environment}} and {{release}} (its number) are"
        " filled in.",
    )


_OWN_CHECKS_RULE: JsonDict = {
    "rule": "self != 'session' && self != 'gateway'",
    "message": "session and gateway are the operator's own checks; choose another name",
}


class Metric(Model):
    """One thing that is measured while a release gets visitors, and when it says that the release is bad."""

    name: str = Field(
        min_length=1,
        max_length=40,
        pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?$",
        json_schema_extra={
            "x-message": "a metric's name has small letters, digits and '-', like errors or p95",
            "x-kubernetes-validations": [_OWN_CHECKS_RULE],
        },
    )
    front: Literal["errorRate", "latencyP95"] | None = Field(
        default=None,
        description="errorRate: the share of answers with a status of 500 or more (0.01 is one in a hundred); latencyP95:"
        " within how many seconds 95 of 100 answers begin.",
    )
    prometheus: PrometheusQuery | None = None
    fail_when: str = Field(
        max_length=32,
        pattern=COMPARISON,
        description="When the number is bad, like > 0.05.",
        json_schema_extra={"x-message": "write a comparison with a number, like > 0.05 or <= 10"},
    )
    min_samples: int = Field(
        default=20,
        ge=1,
        le=100_000,
        description="How much must have been measured before the release may go on: answers for front, numbers for"
        " prometheus.",
    )
    failure_limit: int = Field(
        default=1, ge=1, le=100, description="prometheus: how many bad numbers in a row take the release back."
    )
    interval: Duration = Field(default="10s", description="prometheus: how often it is asked, at least every 1s.")
    on_no_data: Literal["hold", "fail", "ignore"] = Field(
        default="hold",
        description="When there is too little to say after the time of a step or bake: hold waits (and a person is told"
        " after five minutes), fail takes the release back after one minute, ignore goes on.",
    )
    dry_run: bool = Field(
        default=False, description="Measure and record only: nothing waits for it, nothing is taken back."
    )

    model_config = Model.model_config | {"json_schema_extra": _ONE}


METRICS: Any = Field(
    default=(),
    max_length=16,
    json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    description="What else is measured at each step and in the bake, beside real sessions, crashes and readiness. Where"
    " nobody says otherwise, half of at least 20 answers failing takes a release back.",
)
