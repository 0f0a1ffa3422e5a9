"""The page about sources and builds shows what the operator accepts, and knows every reason that a person may meet."""

import re
from collections.abc import Iterator
from typing import Any

import yaml

from dataapp_operator.api.appsource import AppSourceSpec
from dataapp_operator.api.dataapp import DataAppSpec
from dataapp_operator.api.reasons import Reason
from dataapp_operator.plan import names
from tests.unit.chart_rig import ROOT

PAGE = (ROOT / "docs" / "sources-and-builds.md").read_text()
MODELS = {"AppSource": AppSourceSpec, "DataApp": DataAppSpec}


def _documents() -> Iterator[dict[str, Any]]:
    for block in re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE):
        yield from yaml.safe_load_all(block)


def test_its_manifests_are_accepted_and_no_field_of_them_is_unknown() -> None:
    documents = list(_documents())
    assert [document["kind"] for document in documents] == ["DataApp", "DataApp", "AppSource"]
    for document in documents:
        model = MODELS[document["kind"]].model_validate(document["spec"], extra="forbid")
        assert MODELS[document["kind"]].model_validate(model.wire()) == model


def test_every_reason_about_code_is_in_its_table_and_no_other_word() -> None:
    rows = [line for line in PAGE.partition("## What to do when")[2].splitlines() if line.startswith("| `")]
    told = {word for row in rows for word in re.findall(r"`([A-Z][A-Za-z]+)`", row.split("|")[1])}
    order = list(Reason)
    first, last = order.index(Reason.INVALID_URL), order.index(Reason.DOCKERFILE_INVALID)
    waits = {Reason.AWAITING_PROMOTION, Reason.AWAITING_TAG, Reason.SOAKING, Reason.PINNED, Reason.PIN_UNKNOWN}
    assert told >= {*order[first : last + 1], *waits, Reason.LEAVING, Reason.SUSPENDED}
    assert told - {"PruneHeld"} <= set(Reason)


def test_its_annotations_are_those_that_are_read() -> None:
    shown = set(re.findall(r"(?:[a-z.]+)?dataapps\.dev/[A-Za-z]+(?==)", PAGE))
    assert shown == {names.ANNOTATION_PROMOTE, names.REQUESTED_AT[0]}
