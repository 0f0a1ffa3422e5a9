"""What is said of code that is not recognised, or not as one thing: what was seen, and what to write where."""

from dataapp_operator.api.reasons import Reason
from dataapp_operator.build.candidates import Search, told
from dataapp_operator.build.rules import rules
from dataapp_operator.build.tree import Candidate, DetectionError, listed, shown

_WAYS_OUT = "give a prebuilt image in spec.image, or bring a Dockerfile and set spec.app.framework"


def ambiguous(found: list[Candidate]) -> DetectionError:
    candidates = tuple(dict.fromkeys(one.entrypoint for one in found))
    first = next(one for one in found if one.framework.supported)
    if len(candidates) == 1:
        hint = f"set spec.app.framework, for instance to {first.framework.name}"
    else:
        hint = (
            f"set spec.build.entrypoint, for instance to {shown(first.entrypoint)}, and spec.app.framework"
            f" ({first.framework.name})"
        )
    return DetectionError(
        Reason.AMBIGUOUS,
        f"there is more than one candidate for the app: {told(found)}. Say which one: {hint}",
        candidates,
    )


def unsupported(found: list[Candidate]) -> DetectionError:
    one = found[0]
    names = ", ".join(row.title for row in rules().supported)
    return DetectionError(
        Reason.UNSUPPORTED_FRAMEWORK,
        f"{shown(one.file)} looks like {one.framework.title}, which is not built from code yet ({names} are). What works"
        f" today: {_WAYS_OUT}",
        tuple(one.file for one in found),
    )


def nothing(search: Search, only: str | None = None) -> DetectionError:
    names = ", ".join(row.title for row in search.rows if row.supported)
    if not search.tree.files:
        return DetectionError(Reason.NOTHING_DETECTED, "the app's directory has no files beside its manifest")
    seen = f" ({'; '.join(list(dict.fromkeys(search.nearly))[:3])})" if search.nearly else ""
    if only is not None:
        return DetectionError(
            Reason.NOTHING_DETECTED,
            f"{shown(only)} is not recognised as an app of {names}{seen}. If it is one, set spec.app.framework",
            (only,),
        )
    files = [file for file in sorted(search.tree.files) if file.endswith((".py", ".R", ".r"))]
    there = (
        f"it has {listed(files)}" if files else f"it has no Python or R file, but {listed(sorted(search.tree.files))}"
    )
    return DetectionError(
        Reason.NOTHING_DETECTED,
        f"the app's directory has no entry point of {names}: {there}{seen}. Set spec.build.entrypoint and spec.app.framework,"
        f" or {_WAYS_OUT}",
        tuple(files[:20]),
    )
