"""AppSource.status: what was read and applied, in words for the person who committed it.

``revision`` moves only when everything of a commit is applied; what was tried is ``attemptedRevision``. A status that
says what the last one said is equal to it, so that a source in step is never written.
"""

import re
from collections.abc import Iterable
from datetime import datetime

from dataapp_operator.api.appsource import (
    MAX_HISTORY,
    MAX_PROBLEMS,
    AppSourceStatus,
    InventoryEntry,
    SourceHistory,
    SourceProblem,
)
from dataapp_operator.api.base import instant, timestamp
from dataapp_operator.api.conditions import READY, RECONCILING, STALLED, Condition, find, settle
from dataapp_operator.api.reasons import Reason
from dataapp_operator.plan.source_facts import Failure, Reading, SourceFacts, Trouble
from dataapp_operator.plan.syncing import Halt, Sync, counted, listed, words

_SINCE = re.compile(r"\(since ([0-9TZ:-]{20})\)")
_MESSAGE = 4096
_PROBLEM = 1024
_PATH = 512


def starting(facts: SourceFacts) -> AppSourceStatus:
    """Nothing is known yet. Without any condition, tools would take it for done."""
    said = f"reading {facts.spec.ref} of {facts.spec.url}"
    return _told(facts, "Unknown", Reason.READING_CODE, said, RECONCILING, seen=False)


def suspended(facts: SourceFacts) -> AppSourceStatus:
    """Nothing is read and nothing is changed."""
    count = len(facts.status.inventory)
    stay = f"; its {counted(count, 'app')} {'stays as it is' if count == 1 else 'stay as they are'}" if count else ""
    said = f"suspended: nothing is read and nothing is changed until spec.suspend is taken back{stay}"
    return _told(facts, "Unknown", Reason.SUSPENDED, said)


def failed(facts: SourceFacts, failure: Failure, *, since: datetime, request: str | None) -> AppSourceStatus:
    """The repository could not be read."""
    untouched = "apps from this source go on untouched"
    if failure.transient:
        said = f"{failure.message} (since {timestamp(since)}). It is tried again by itself; {untouched}"
        return _told(facts, "False", failure.reason, said, RECONCILING, request=request)
    end = "" if failure.message.endswith("?") else "."
    said = f"{failure.message}{end} Until then {untouched}"
    return _told(facts, "False", failure.reason, said, STALLED, request=request)


def invalid(facts: SourceFacts, message: str) -> AppSourceStatus:
    """A spec that this version cannot read."""
    said = f"{message}. Nothing is read until that is mended; apps from this source go on untouched"
    return _told(facts, "False", Reason.INVALID_SPEC, said, STALLED)


def failing_since(facts: SourceFacts, failure: Failure) -> datetime | None:
    """Since when looks have failed so, as far as the status remembers (also one that another process wrote)."""
    known = find(facts.status.conditions, READY)
    told = _SINCE.search(known.message) if known is not None and known.reason == failure.reason else None
    try:
        return instant(told[1]) if told else None
    except ValueError:
        return None


def halted(facts: SourceFacts, reading: Reading, sync: Sync, halt: Halt, *, request: str | None) -> AppSourceStatus:
    """The repository was read, and what it says is not done."""
    status = _told(facts, "False", halt.reason, halt.message, STALLED, request=request)
    return status.model_copy(
        update={
            "attempted_revision": reading.revision,
            "inventory": sync.inventory,
            "summary": f"{counted(len(sync.inventory), 'app')}, held",
            "problems": _problems(reading.troubles),
        }
    )


def synced(facts: SourceFacts, reading: Reading, sync: Sync, *, request: str | None) -> AppSourceStatus:
    """Everything is applied that can be."""
    short = words(reading.revision)
    if sync.troubles:
        only_conflicts = all(trouble.conflict for trouble in sync.troubles)
        reason = Reason.CONFLICT if only_conflicts else Reason.MANIFEST_INVALID
        status = _told(facts, "False", reason, _trouble_words(sync, short), STALLED, request=request)
    elif sync.waiting:
        said = f"being deleted by somebody, and applied again once they are gone: {listed(sync.waiting)}"
        status = _told(facts, "False", Reason.LEAVING, said, RECONCILING, request=request)
    else:
        said = f"{counted(sync.in_step, 'app')} from {short}{_asides(sync)}"
        status = _told(facts, "True", Reason.SYNCED, said, request=request)
    whole = not sync.troubles and not sync.waiting
    return status.model_copy(
        update={
            "revision": reading.revision if whole else facts.status.revision,
            "attempted_revision": reading.revision,
            "inventory": sync.inventory,
            "summary": _summary(sync),
            "problems": _problems(sync.troubles),
            "history": _history(facts, reading, sync),
        }
    )


def _told(
    facts: SourceFacts,
    ready: str,
    reason: str,
    message: str,
    beside: str | None = None,
    *,
    request: str | None = None,
    seen: bool = True,
) -> AppSourceStatus:
    """The status as it was, with other conditions. ``request`` is the request to look that this answers."""
    kinds = [(READY, ready)] + ([(beside, "True")] if beside is not None else [])
    wanted = [
        Condition.model_validate(
            {
                "type": kind,
                "status": value,
                "reason": str(reason),
                "message": _cut(message, _MESSAGE),
                "observedGeneration": facts.generation,
                "lastTransitionTime": timestamp(facts.now),
            }
        )
        for kind, value in kinds
    ]
    update: dict[str, object] = {"conditions": settle(wanted, facts.status.conditions)}
    if seen:
        update["observed_generation"] = facts.generation
    if request is not None:
        update["last_handled_reconcile_at"] = request
    return facts.status.model_copy(update=update)


def denied(
    facts: SourceFacts, reading: Reading, *, verbs: Iterable[str], role: str, request: str | None
) -> AppSourceStatus:
    """Its service account may not do what the source wants done."""
    account = facts.spec.service_account_name
    said = (
        f"the service account {account} may not {_all_of(verbs)} dataapps in {facts.namespace}, so nothing of"
        f" {words(reading.revision)} is applied. Somebody who may give that right gives it so: kubectl -n"
        f" {facts.namespace} create rolebinding {facts.name}-edit --clusterrole={role}"
        f" --serviceaccount={facts.namespace}:{account}"
    )
    status = _told(facts, "False", Reason.ACCESS_DENIED, said, STALLED, request=request)
    return status.model_copy(update={"attempted_revision": reading.revision})


def _all_of(verbs: Iterable[str]) -> str:
    *most, last = verbs
    return f"{', '.join(most)} and {last}" if most else last


def _trouble_words(sync: Sync, short: str) -> str:
    count = len(sync.troubles)
    first = "; ".join(_cut(str(trouble), _PROBLEM) for trouble in sync.troubles[:2])
    more = f"; and {count - 2} more (status.problems)" if count > 2 else ""  # noqa: PLR2004 - two are told
    others = (
        f"The other {counted(sync.in_step, 'app')} {'is' if sync.in_step == 1 else 'are'} in step with {short}"
        if sync.in_step
        else "Apps that came from there stay as they are"
    )
    what = "manifest cannot be applied" if count == 1 else "manifests cannot be applied"
    return f"{count} {what}: {first}{more}. {others}{_asides(sync)}"


def _asides(sync: Sync) -> str:
    """What else a person might wonder about."""
    said = []
    if sync.leaving:
        said.append(f"gone from git, and ending their sessions: {listed(sync.leaving)}")
    if sync.kept:
        said.append(f"gone from git, and kept because of prune: false: {listed(sync.kept)}")
    if sync.doubted:
        said.append(f"kept because a manifest that cannot be read may be theirs: {listed(sync.doubted)}")
    return "".join(f"; {sentence}" for sentence in said)


def _summary(sync: Sync) -> str:
    parts = [counted(sync.in_step, "app")]
    for count, word in ((len(sync.troubles), "refused"), (len(sync.leaving), "leaving"), (len(sync.kept), "kept")):
        parts += [f"{count} {word}"] if count else []
    return ", ".join(parts)


def _problems(troubles: Iterable[Trouble]) -> tuple[SourceProblem, ...]:
    return tuple(
        SourceProblem(path=_cut(t.path, _PATH), line=t.line, message=_cut(t.message, _PROBLEM)) for t in troubles
    )[:MAX_PROBLEMS]


def _history(facts: SourceFacts, reading: Reading, sync: Sync) -> tuple[SourceHistory, ...]:
    known = facts.status.history
    if not sync.changed or (known and known[0].revision == reading.revision):
        return known
    latest = SourceHistory(revision=reading.revision, at=timestamp(facts.now), apps=sync.in_step, changed=sync.changed)
    return (latest, *known)[:MAX_HISTORY]


def inventory_of(entries: Iterable[object]) -> tuple[InventoryEntry, ...]:
    """Those entries that can be read, each name once."""
    found: dict[str, InventoryEntry] = {}
    for entry in entries:
        try:
            read = InventoryEntry.model_validate(entry)
        except ValueError:
            continue
        found[read.name] = read
    return tuple(found[name] for name in sorted(found))


def read(raw: object) -> AppSourceStatus:
    """A status as it stands there. What cannot be read of it (written by hand, or by another version) is left out."""
    given = raw if isinstance(raw, dict) else {}
    try:
        return AppSourceStatus.model_validate(given)
    except ValueError:
        pass
    good: dict[str, object] = {}
    for key, value in given.items():
        entries = inventory_of(value) if key == "inventory" and isinstance(value, list) else value
        try:
            AppSourceStatus.model_validate({key: entries})
        except ValueError:
            continue
        good[key] = entries
    return AppSourceStatus.model_validate(good)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
