"""Why a build failed: from what Kubernetes says of its Job and what BuildKit and the installers wrote, to one sentence.

Told apart are: too long, too much disk, too much memory, killed by something outside (to be tried again), no base
image, a registry that refuses, code that is gone, a Dockerfile that is wrong, a package that is not there, and the rest.
Pure text; everything that is returned has passed `redact`.
"""

import re
from dataclasses import dataclass

from dataapp_operator.api.reasons import Reason
from dataapp_operator.api.redaction import redact
from dataapp_operator.build.installers import Verdict, explain_installer

MARK = "DATAAPP-FAILED"
"""Begins the line in which a recipe says itself why it fails: the mark, a reason, a sentence."""

_MARKED = (Reason.PACKAGE_NOT_FOUND, Reason.BUILD_FAILED)
_TAIL = 20
_LONGEST_LINE = 300
_LONGEST = 1000
_LOG_CHARACTERS = 400_000
_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
_STEP = re.compile(r"^#(?P<step>\d+) (?:(?P<time>\d+\.\d+) )?")
_FINAL = re.compile(r"^(?:error|ERROR): (?:failed to (?:solve|build|push|export|receive)|process )", re.IGNORECASE)
_NOISE = re.compile(r"^(?:#\d+ (?:CACHED|DONE|sha256:|transferring|extracting|\.\.\.)|-{4,}|\s*$)")
_NO_CODE, _NO_ANSWER, _BROKEN_ARCHIVE, _NOT_STARTED, _DAEMON_GONE, _OUT_OF_TIME = 20, 21, 22, 30, 33, 124  # of pod/*.sh
_SIGKILL, _SIGTERM = 137, 143

_NO_DISK = re.compile(r"no space left on device|disk quota exceeded|ENOSPC", re.IGNORECASE)
_NO_MEMORY = re.compile(
    r"cannot allocate memory|out of memory|exit code: 137\b|Killed signal terminated program|signal: killed|MemoryError",
    re.IGNORECASE,
)
_PROCESS = re.compile(r'process "(?P<what>.*)" did not complete successfully: exit code: (?P<code>\d+)')
_BEGUN = re.compile(r"\[(?:\S+ )?\d+/\d+\] (?P<what>RUN .*)")
_OURS = "/opt/dataapp/"
"""In the steps of a recipe, of which the author of an app knows nothing."""
_ASKERS = {"requirements": "requirements.txt", "lock": "uv.lock", "project": "pyproject.toml"}
_SAYS_WHY_NOT = (
    (
        r"\b40[13]\b|denied|unauthorized|insufficient_scope|authori[sz]|fetch (?:anonymous|oauth) token",
        "the registry refuses access",
    ),
    (r"no such host|server misbehaving", "there is no host of that name"),
    (
        r"connection refused|i/o timeout|deadline exceeded|connection reset|no route to host|\bEOF\b",
        "the registry does not answer",
    ),
    (r"x509|certificate", "the registry's certificate is not trusted"),
    (r"no match for platform", "the registry has no image for this kind of machine"),
    (r"not found|manifest unknown|name unknown", "the registry does not have it"),
)


@dataclass(frozen=True, slots=True)
class _Log:
    """A build's log, cleaned: its lines without BuildKit's prefixes, BuildKit's last word, what went wrong where (its last
    line of the kind `#5 ERROR: …`), and what the failed step wrote.
    """

    lines: list[str]
    final: str
    error: str
    step: list[str]


def explain(
    *, log: str, exit_code: int | None, terminated_reason: str | None, job_reason: str | None, pod_message: str
) -> tuple[Reason, str, tuple[str, ...]]:
    """Reason, sentence and the last lines of the log.

    `exit_code` and `terminated_reason` are the container's, `job_reason` the reason of the Job's condition Failed,
    `pod_message` what Kubernetes says of the pod (an eviction, a node that is gone); None or empty where there is none.
    """
    read = _read(log)
    reason, sentence = (
        _by_kubernetes(terminated_reason, job_reason, pod_message, read)
        or _by_script(exit_code, read)
        or _by_log(read)
        or _by_exit(exit_code, read)
    )
    shown = redact(" ".join(sentence.split()))
    tail = tuple(redact(line[:_LONGEST_LINE]) for line in read.lines[-_TAIL:])
    return reason, shown if len(shown) <= _LONGEST else f"{shown[: _LONGEST - 1]}…", tail


def _by_kubernetes(
    terminated_reason: str | None, job_reason: str | None, pod_message: str, log: _Log
) -> Verdict | None:
    if job_reason == "DeadlineExceeded":
        return _time(log)
    if re.search(r"ephemeral[- ](?:local )?storage|EmptyDir|DiskPressure", pod_message, re.IGNORECASE):
        return _disk()
    if terminated_reason == "OOMKilled":
        return _memory(log)
    if re.search(
        r"evict|preempt|low on resource|node (?:is )?(?:not ready|lost|shut)|shutdown|deleted",
        pod_message,
        re.IGNORECASE,
    ):
        return Reason.BUILD_KILLED, f"the build was ended from outside ({pod_message.strip()[:200]}); it is begun again"
    return None


def _by_script(exit_code: int | None, log: _Log) -> Verdict | None:
    if exit_code == _NO_CODE:
        return (
            Reason.SOURCE_GONE,
            "the code of this build is not to be had any more: commit again, or delete the AppBuild",
        )
    if exit_code == _NO_ANSWER:
        return Reason.BUILD_KILLED, "the operator did not answer when the build asked for its code; it is begun again"
    if exit_code == _BROKEN_ARCHIVE:
        return Reason.BUILD_KILLED, "the code arrived damaged; the build is begun again"
    if exit_code == _OUT_OF_TIME:
        return _time(log)
    if exit_code == _DAEMON_GONE:
        return Reason.BUILD_KILLED, "the builder was killed under the build; it is begun again"
    if exit_code == _NOT_STARTED:
        return (
            Reason.BUILD_FAILED,
            "the builder did not start on this cluster: the platform team finds the cause in the log",
        )
    return None


def _by_log(log: _Log) -> Verdict | None:
    for line in reversed(log.lines):
        mark, _, rest = line.partition(" ")
        reason, _, sentence = rest.partition(" ")
        if mark == MARK and reason in _MARKED and sentence:
            return Reason(reason), sentence
    if not log.final:
        return _disk() if any(map(_NO_DISK.search, log.lines)) else None
    end = [*log.step, log.final]
    if any(map(_NO_DISK.search, end)):
        return _disk()
    if any(map(_NO_MEMORY.search, end)):
        return _memory(log)
    return _of_dockerfile(log.final) or _of_images(log.error) or _of_images(log.final) or _of_step(log)


def _of_dockerfile(final: str) -> Verdict | None:
    if match := re.search(r"dockerfile parse error on line (?P<line>\d+): (?P<why>.*)", final):
        return Reason.DOCKERFILE_INVALID, f"Dockerfile line {match['line']}: {match['why']}"
    if match := re.search(
        r'(?:failed to calculate checksum|failed to compute cache key).*?"(?P<path>[^"]*)": not found', final
    ):
        return (
            Reason.DOCKERFILE_INVALID,
            f"the Dockerfile copies {match['path'].lstrip('/')}, which is not in the app's directory",
        )
    if match := re.search(r"(?P<what>security\.insecure|network\.host) is not allowed", final):
        return Reason.DOCKERFILE_INVALID, f"the Dockerfile asks for {match['what']}, which no build gets"
    if "no build stage in current context" in final:
        return Reason.DOCKERFILE_INVALID, "the Dockerfile has an instruction before its first FROM, or no FROM at all"
    if re.search(r"failed to read dockerfile|the Dockerfile .*cannot be empty|file with no instructions", final):
        return Reason.DOCKERFILE_INVALID, "the Dockerfile is empty, or it is not where spec.build.dockerfile says"
    if match := re.search(
        r"target stage \"?(?P<stage>[^\"]*)\"? could not be found|base name \((?P<base>[^)]*)\) should not be blank",
        final,
    ):
        return Reason.DOCKERFILE_INVALID, f"the Dockerfile has no stage or base {match['stage'] or match['base']!r}"
    return None


def _of_images(final: str) -> Verdict | None:
    if match := re.search(r"failed to push (?P<image>[^\s:]+(?::\d+)?[^\s:]*\S*?): (?P<why>.*)", final):
        words = "the image was built, but {0} was not taken ({1}): the platform team has to mend it"
        return Reason.REGISTRY_REFUSED, words.format(_brief(match["image"]), _why(match["why"]))
    match = re.search(r"failed to resolve source metadata for (?P<image>\S+?): (?P<why>.*)", final) or re.search(
        r"failed to solve: (?P<image>[\w./:-]+(?:@sha256:[0-9a-f]{64})?): (?P<why>.*(?:not found|denied|authorize).*)",
        final,
    )
    if match is None:
        return None
    words = "the base image {0} cannot be had ({1}): name one that there is in FROM, or ask the platform team"
    return Reason.BASE_IMAGE_MISSING, words.format(_brief(match["image"]), _why(match["why"]))


def _of_step(log: _Log) -> Verdict | None:
    script = re.search(r'install\.sh", ?"(?P<kind>\w+)"|install\.sh (?P<word>\w+)', log.final)
    asker = _ASKERS.get((script["kind"] or script["word"]) if script else "", "the Dockerfile")
    if not script and "requirements.txt" in log.final:
        asker = "requirements.txt"
    found = explain_installer(log.step, asker)
    if found:
        return found
    match = _PROCESS.search(log.final)
    if match is None:
        return Reason.BUILD_FAILED, f"the build failed: {re.sub(r'^error: failed to solve: ', '', log.final)}"
    cause = next(
        (line for line in reversed(log.step) if line.strip() and not line.startswith(("ERROR: ", "hint:"))), ""
    )
    return (
        Reason.BUILD_FAILED,
        f"the step `{_command(match['what'])}` failed (exit code {match['code']}): {cause.strip() or 'it said nothing'}",
    )


def _by_exit(exit_code: int | None, log: _Log) -> Verdict:
    if exit_code is None or exit_code in {_SIGKILL, _SIGTERM}:
        return Reason.BUILD_KILLED, "the build was ended from outside, without a word of its own; it is begun again"
    said = log.lines[-1] if log.lines else "it wrote no log"
    return Reason.BUILD_FAILED, f"the build failed (exit code {exit_code}): {said}"


def _time(log: _Log) -> Verdict:
    begun = [match["what"] for line in log.lines if (match := _BEGUN.match(line)) and _OURS not in match["what"]]
    where = f" (the last step that it began was `{begun[-1][:160]}`)" if begun else ""
    return (
        Reason.BUILD_TIMED_OUT,
        f"the build took longer than it may and was ended{where}: look in the log for the step that waits or never ends",
    )


def _disk() -> Verdict:
    return (
        Reason.BUILD_DISK_FULL,
        (
            "the build needed more disk than it may have: install fewer or smaller packages, keep data out of the repository, or"
            " ask the platform team for more"
        ),
    )


def _memory(log: _Log) -> Verdict:
    match = _PROCESS.search(log.final)
    if match is None or _OURS in match["what"]:
        return (
            Reason.BUILD_OUT_OF_MEMORY,
            (
                "the build needed more memory than it may have and was killed: ask for versions that need not be compiled, or"
                " ask the platform team for more"
            ),
        )
    return (
        Reason.BUILD_OUT_OF_MEMORY,
        (
            f"the step `{_command(match['what'])}` needed more memory than it may have and was killed: let it do with less, or"
            " ask the platform team for more"
        ),
    )


def _command(process: str) -> str:
    """What a step runs, as its author wrote it."""
    return process.removeprefix("/bin/sh -c ").replace('\\"', '"')[:160]


def _brief(image: str) -> str:
    """An image's name with the beginning of its digest."""
    return re.sub(r"(@sha256:[0-9a-f]{12})[0-9a-f]+", r"\1…", image)


def _why(said: str) -> str:
    return next((words for pattern, words in _SAYS_WHY_NOT if re.search(pattern, said)), said.strip()[-200:])


def _read(log: str) -> _Log:
    raw = [_ANSI.sub("", line).rstrip() for line in redact(log[-_LOG_CHARACTERS:]).replace("\r", "\n").split("\n")]
    raw = ["".join(sign if sign.isprintable() or sign == "\t" else " " for sign in line) for line in raw]
    final = next((line for line in reversed(raw) if _FINAL.match(line)), "")
    failed = [match["step"] for line in raw if (match := re.match(r"#(?P<step>\d+) ERROR: process ", line))]
    step = [
        _STEP.sub("", line)
        for line in raw
        if failed and (match := _STEP.match(line)) and match["step"] == failed[-1] and match["time"]
    ]
    lines = [_STEP.sub("", line) for line in raw if not _NOISE.match(line)]
    error = next((match[1] for line in reversed(raw) if (match := re.match(r"#\d+ ERROR: (.*)", line))), "")
    return _Log(lines, final, error, step)
