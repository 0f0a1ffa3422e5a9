# ruff: noqa: E501 - the lines of uv are long
"""Why a build failed: logs of real builds (fixtures/builds), and what installers say elsewhere."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataapp_operator.api.reasons import Reason
from dataapp_operator.build.failures import explain

BUILDS = Path(__file__).parent / "fixtures" / "builds"
OUTCOMES = json.loads((BUILDS / "outcomes.json").read_text())
BASE = "registry.example.org/base/build-python@sha256:"

EXPECTED = {
    "base-missing": (
        Reason.BASE_IMAGE_MISSING,
        f"the base image {BASE}000000000000… cannot be had (the registry does not have it)",
    ),
    "base-repository-missing": (
        Reason.BASE_IMAGE_MISSING,
        "the base image registry.example.org/base/no-such-base:1 cannot be had",
    ),
    "buildkit-killed": (Reason.BUILD_KILLED, "the builder was killed under the build"),
    "copy-missing": (Reason.DOCKERFILE_INVALID, "copies requirements-prod.txt, which is not in the app's directory"),
    "disk-evicted": (Reason.BUILD_DISK_FULL, "more disk than it may have"),
    "disk-full": (Reason.BUILD_DISK_FULL, "more disk than it may have"),
    "dockerfile-flag": (Reason.DOCKERFILE_INVALID, "Dockerfile line 3: unknown flag: --lnk (did you mean link?)"),
    "dockerfile-no-from": (Reason.DOCKERFILE_INVALID, "before its first FROM"),
    "dockerfile-syntax": (
        Reason.DOCKERFILE_INVALID,
        "Dockerfile line 3: unknown instruction: RUNN (did you mean RUN?)",
    ),
    "index-silent": (
        Reason.BUILD_FAILED,
        "the package index did not answer (failed to lookup address information: Name",
    ),
    "insecure-wanted": (Reason.DOCKERFILE_INVALID, "asks for security.insecure, which no build gets"),
    "out-of-memory-buildkit": (Reason.BUILD_OUT_OF_MEMORY, "more memory than it may have"),
    "out-of-memory-step": (
        Reason.BUILD_OUT_OF_MEMORY,
        'the step `python3 -c "a=[bytearray(2**20) for _ in range(2000)]; print(len(a))"` needed more memory than it may have',
    ),
    "package-missing": (
        Reason.PACKAGE_NOT_FOUND,
        "requirements.txt asks for no-such-package-zzz; the package index has no such package",
    ),
    "package-needs-compiler": (Reason.BUILD_FAILED, "requirements.txt asks for a package that has to be compiled"),
    "package-too-new": (
        Reason.PACKAGE_NOT_FOUND,
        "narwhals, of which nothing that fits was published by the day of the commit (2020-01-01)",
    ),
    "r-package": (Reason.PACKAGE_NOT_FOUND, "the R package nosuchpackage, which is not installed"),
    "registry-base-refused": (
        Reason.BASE_IMAGE_MISSING,
        f"{BASE}ba0c8a530725… cannot be had (the registry refuses access)",
    ),
    "registry-no-token": (
        Reason.REGISTRY_REFUSED,
        "registry.example.org/team/x:1 was not taken (the registry refuses access)",
    ),
    "registry-pull-only": (
        Reason.REGISTRY_REFUSED,
        "registry.example.org/team/x:1 was not taken (the registry refuses access)",
    ),
    "registry-silent": (Reason.BASE_IMAGE_MISSING, "cannot be had (the registry does not answer)"),
    "registry-unknown-host": (Reason.BASE_IMAGE_MISSING, "cannot be had (there is no host of that name)"),
    "registry-wrong-repository": (Reason.REGISTRY_REFUSED, "was not taken (the registry refuses access)"),
    "source-gone": (Reason.SOURCE_GONE, "commit again"),
    "step-fails": (
        Reason.BUILD_FAILED,
        "`python3 /app/no_such_file.py` failed (exit code 2): python3: can't open file",
    ),
    "stopped": (Reason.BUILD_KILLED, "ended from outside"),
    "too-long": (
        Reason.BUILD_TIMED_OUT,
        "took longer than it may and was ended (the last step that it began was `RUN echo starting && sleep 300`)",
    ),
    "too-long-job-deadline": (Reason.BUILD_TIMED_OUT, "took longer than it may"),
    "version-missing": (
        Reason.BUILD_FAILED,
        "versions that do not go together: Because streamlit>=1.67.0 depends on pandas",
    ),
    "versions-conflict": (
        Reason.BUILD_FAILED,
        "versions that do not go together: Because streamlit>=1.67.0 depends on protobuf",
    ),
}


def told(
    log: str, *, exit_code: int | None = 1, reason: str | None = "Error", job: str | None = None, pod: str = ""
) -> tuple[Reason, str]:
    found = explain(log=log, exit_code=exit_code, terminated_reason=reason, job_reason=job, pod_message=pod)
    return found[0], found[1]


def step(*output: str, recipe: str = "requirements") -> str:
    """The log of a build whose installation failed with this output."""
    run = f'process "sh /opt/dataapp/install.sh {recipe} --exclude-newer 2026-11-20T00:00:00Z" did not complete successfully: exit code: 1'
    lines = [f"#9 {number}.5 {line}" for number, line in enumerate(output)]
    return "\n".join(
        [
            "#9 [4/5] RUN …",
            *lines,
            f"#9 ERROR: {run}",
            "------",
            " > [4/5] RUN …:",
            *output,
            "------",
            f"error: failed to solve: {run}",
        ]
    )


def test_every_real_log_has_its_expectation() -> None:
    assert set(EXPECTED) == set(OUTCOMES)


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_a_real_log_is_explained(name: str) -> None:
    outcome = OUTCOMES[name]
    reason, sentence, lines = explain(
        log=(BUILDS / f"{name}.txt").read_text(),
        exit_code=outcome["exit_code"],
        terminated_reason=outcome["reason"],
        job_reason=outcome["job_reason"],
        pod_message=outcome["pod_message"],
    )
    assert (reason, EXPECTED[name][1] in sentence) == (EXPECTED[name][0], True), sentence
    assert len(sentence) <= 1000
    assert "\n" not in sentence
    assert len(lines) <= 20
    assert not any(line.startswith("#") for line in lines)


@pytest.mark.parametrize(
    ("output", "reason", "sentence"),
    [
        (
            [
                "error: No solution found when resolving dependencies",
                "  cause: Because there is no version of streamlit==99.0 and you require streamlit==99.0, we can conclude that your requirements are unsatisfiable.",
            ],
            Reason.PACKAGE_NOT_FOUND,
            "requirements.txt asks for streamlit==99.0; the package index has no such version",
        ),
        (
            [
                "error: No solution found when resolving dependencies",
                "  cause: Because only streamlit<=1.67.0 is available and you require streamlit>=99, we can conclude …",
            ],
            Reason.PACKAGE_NOT_FOUND,
            "requirements.txt asks for streamlit>=99; the package index has no such version (it has streamlit<=1.67.0)",
        ),
        (
            [
                "  × No solution found when resolving dependencies:",
                "  ╰─▶ Because strreamlit was not found in the package registry and you require",
                "      strreamlit, we can conclude that your requirements are unsatisfiable.",
            ],
            Reason.PACKAGE_NOT_FOUND,
            "requirements.txt asks for strreamlit; the package index has no such package",
        ),
        (
            [
                "error: No solution found when resolving dependencies",
                "  cause: Because there is no version of streamlit==1.67.0 and you require streamlit==1.67.0, we can conclude …",
                "",
                "hint: `streamlit` was filtered by `exclude-newer` to only include packages uploaded before 2026-11-01T00:00:00Z. The requested version, v1.67.0, was published at 2026-11-05T19:53:51Z. Consider …",
            ],
            Reason.PACKAGE_NOT_FOUND,
            "requirements.txt asks for streamlit 1.67.0, which was published on 2026-11-05. Versions are chosen as they were on the day of the commit (2026-11-01): commit again, or ask for an earlier one",
        ),
        (
            [
                "error: No solution found when resolving dependencies",
                "  cause: Because the current Python version (3.11.7) does not satisfy Python>=3.12 and numpy==2.5.5 depends on Python>=3.12, we can conclude that numpy==2.5.5 cannot be used.",
            ],
            Reason.PACKAGE_NOT_FOUND,
            "requirements.txt asks for numpy==2.5.5, which needs Python >=3.12; the base image has Python 3.11.7. Ask for a version that runs on it, or ask the platform team for another base image",
        ),
        (
            [
                "error: No solution found when resolving dependencies",
                "  cause: Because tensorflow==2.3.0 has no wheels with a matching Python ABI tag (e.g., `cp311`) and you require tensorflow==2.3.0, we can conclude …",
            ],
            Reason.PACKAGE_NOT_FOUND,
            "requirements.txt asks for tensorflow==2.3.0, of which the package index has nothing that runs on the base image's Python and machine",
        ),
        (
            [
                "error: Failed to download `six==1.16.0`",
                "  cause: Hash mismatch for `six==1.16.0`",
                "",
                "         Expected:",
            ],
            Reason.BUILD_FAILED,
            "requirements.txt has hashes for six==1.16.0 that do not fit the file which the package index offers: one of the two was changed",
        ),
        (
            ["error: Hash-checking is required, but no trusted hash was provided for: `six`"],
            Reason.BUILD_FAILED,
            "requirements.txt has hashes, but not for six: then every package needs its version and its hash, also those that others bring. Make the file anew with `uv pip compile --generate-hashes`",
        ),
        (
            [
                "error: Failed to fetch: https://pypi.org/simple/attrs/",
                "  cause: client error (Connect)",
                "  cause: invalid peer certificate: UnknownIssuer",
            ],
            Reason.BUILD_FAILED,
            "the build does not trust the certificate of the package index: the platform team has to add its authority to the certificates of builds",
        ),
        (
            [
                "error: Request failed after 3 retries in 5.2s",
                "  cause: Failed to fetch: https://127.0.0.1:1/simple/django/",
                "  cause: tcp connect error",
                "  cause: Connection refused (os error 111)",
            ],
            Reason.BUILD_FAILED,
            "the package index did not answer (Connection refused (os error 111)): try again, and if it stays so tell the platform team",
        ),
        (
            ["error: No interpreter found for Python >=3.14 in managed installations or search path"],
            Reason.BUILD_FAILED,
            "pyproject.toml asks for Python >=3.14, which the base image does not have: change requires-python, or ask the platform team for another base image",
        ),
        (
            ["error: something uv has never said before"],
            Reason.BUILD_FAILED,
            "the packages of requirements.txt cannot be installed: something uv has never said before",
        ),
        (
            ["DATAAPP-FAILED PackageNotFound renv.lock asks for ggplot2 9.9.9; the base image has 3.5.1"],
            Reason.PACKAGE_NOT_FOUND,
            "renv.lock asks for ggplot2 9.9.9; the base image has 3.5.1",
        ),
    ],
)
def test_what_installers_say_is_condensed(output: list[str], reason: Reason, sentence: str) -> None:
    assert told(step(*output)) == (reason, sentence)


def test_the_file_that_names_the_packages_is_named() -> None:
    missing = "error: Because nosuch was not found in the package registry and you require nosuch"
    assert told(step(missing, recipe="lock"))[1].startswith("uv.lock asks for nosuch;")
    assert told(step(missing, recipe="project"))[1].startswith("pyproject.toml asks for nosuch;")


def test_a_build_can_mark_only_what_is_its_own() -> None:
    assert told(step("DATAAPP-FAILED BuildKilled again and again"))[0] == Reason.BUILD_FAILED
    assert told(step("DATAAPP-FAILED PackageNotFound"))[0] == Reason.BUILD_FAILED


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"exit_code": None, "reason": None}, Reason.BUILD_KILLED),
        ({"exit_code": 137}, Reason.BUILD_KILLED),
        ({"exit_code": 137, "reason": "OOMKilled"}, Reason.BUILD_OUT_OF_MEMORY),
        ({"exit_code": 143, "job": "DeadlineExceeded"}, Reason.BUILD_TIMED_OUT),
        ({"exit_code": None, "pod": "The node was low on resource: memory."}, Reason.BUILD_KILLED),
        (
            {"exit_code": None, "pod": "Pod ephemeral local storage usage exceeds the total limit of containers 1Gi."},
            Reason.BUILD_DISK_FULL,
        ),
        ({"exit_code": 20}, Reason.SOURCE_GONE),
        ({"exit_code": 21}, Reason.BUILD_KILLED),
        ({"exit_code": 22}, Reason.BUILD_KILLED),
        ({"exit_code": 30}, Reason.BUILD_FAILED),
        ({"exit_code": 31}, Reason.BUILD_FAILED),
    ],
)
def test_without_a_log_kubernetes_and_the_exit_code_say_why(said: dict[str, object], reason: Reason) -> None:
    assert told("", **said)[0] == reason  # type: ignore[arg-type]


def test_a_cache_that_is_not_there_yet_is_no_failure_of_the_base() -> None:
    log = (
        "#3 ERROR: failed to configure registry cache importer: registry.example.org/team/x:cache: not found\n"
        + step("error: odd")
    )
    assert told(log)[1] == "the packages of requirements.txt cannot be installed: odd"


def test_no_secret_and_no_control_character_leaves() -> None:
    log = step("error: Failed to fetch: https://me:hunter2@pypi.example.org/simple/", "\x1b[31mtoken=abcdef123456\x07")
    reason, sentence, lines = explain(log=log, exit_code=1, terminated_reason="Error", job_reason=None, pod_message="")
    everything = " ".join([reason, sentence, *lines])
    assert "hunter2" not in everything
    assert "abcdef123456" not in everything
    assert everything.isprintable()


@given(
    st.text(max_size=300),
    st.sampled_from([None, 0, 1, 20, 33, 137]),
    st.sampled_from([None, "Error", "OOMKilled"]),
    st.text(max_size=40),
)
def test_any_log_gets_a_reason_and_a_sentence(log: str, code: int | None, reason: str | None, pod: str) -> None:
    for text in (log, step(*log.splitlines())):
        found, sentence, lines = explain(
            log=text, exit_code=code, terminated_reason=reason, job_reason=None, pod_message=pod
        )
        assert found in Reason
        assert sentence
        assert "\n" not in sentence
        assert len(lines) <= 20


def test_a_huge_log_is_read_quickly() -> None:
    log = "#5 1.0 " + "x" * 3_000_000 + "\n" + "#5 2.0 error: a b c\n" * 100_000
    assert told(log)[0] == Reason.BUILD_FAILED
