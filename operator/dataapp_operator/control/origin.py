"""Where an app's code is: in its own ``spec.source``, or beside its manifest in the repository of an AppSource."""

from typing import Any

from pydantic import ValidationError

from dataapp_operator.api.appsource import AppSourceSpec
from dataapp_operator.api.base import seconds
from dataapp_operator.api.dataapp import DataAppSpec
from dataapp_operator.api.reasons import Reason
from dataapp_operator.kube.kinds import APPSOURCE
from dataapp_operator.kube.store import Store
from dataapp_operator.plan import names
from dataapp_operator.plan.facts import Origin

Json = dict[str, Any]
Trouble = tuple[Reason, str]

LEAST_INTERVAL = 5.0
"""Seconds between two looks at one repository, whatever anybody asks for."""


def origin_of(manifest: Json, spec: DataAppSpec, store: Store) -> tuple[Origin | None, Trouble | None]:
    """Where the code of a DataApp is; (None, None) for an image, and for one that says nothing of either."""
    metadata = manifest["metadata"]
    if spec.image is not None:
        return None, None
    if spec.source is not None:
        source = spec.source
        return Origin(
            url=source.url,
            path=source.path,
            ref=source.ref,
            secret=source.secret_ref.name if source.secret_ref else None,
            interval=max(float(seconds(source.interval)), LEAST_INTERVAL),
        ), None
    name = (metadata.get("labels") or {}).get(names.LABEL_SOURCE)
    if not name:
        return None, None
    annotations = metadata.get("annotations") or {}
    path, commit = annotations.get(names.ANNOTATION_PATH), annotations.get(names.ANNOTATION_COMMIT)
    if not path or not commit:
        return None, (Reason.SOURCE_MISSING, f"waiting for the AppSource {name} to say where the app's code is")
    found = store.get(APPSOURCE, metadata["namespace"], name)
    if found is None:
        words = f"the AppSource {name} that brought this app is gone, and with it the address of the code"
        return None, (Reason.SOURCE_MISSING, f"{words}. Create it again, or set spec.source")
    try:
        source_spec = AppSourceSpec.model_validate(found["spec"])
    except ValidationError:
        return None, (Reason.SOURCE_MISSING, f"the AppSource {name} that brought this app cannot be read; mend it")
    return Origin(
        url=source_spec.url,
        path=path,
        ref=source_spec.ref,
        secret=source_spec.secret_ref.name if source_spec.secret_ref else None,
        manifest=annotations.get(names.ANNOTATION_MANIFEST),
        commit=commit,
        where=str((found.get("status") or {}).get("attemptedRevision") or "").rpartition("@")[0] or None,
        interval=max(float(seconds(source_spec.interval)), LEAST_INTERVAL),
    ), None
