"""What a person can do about a build that failed: one sentence for each reason. Pure."""

from dataapp_operator.api.appbuild import AppBuildSpec
from dataapp_operator.api.reasons import Reason

_ANEW = "To have this very build made again, delete it: kubectl delete appbuild NAME."
_STEPS: dict[str, str] = {
    Reason.PACKAGE_NOT_FOUND: "Correct the package's name or version in {dependencies}, and push.",
    Reason.BUILD_OUT_OF_MEMORY: "Ask for fewer or smaller packages, or ask the platform team for more memory for builds.",
    Reason.BUILD_TIMED_OUT: "Look at the last lines for the step that took so long. " + _ANEW,
    Reason.BUILD_DISK_FULL: "Take large files out of the repository or packages you do not need out of {dependencies},"
    " or ask the platform team for more disk for builds.",
    Reason.BUILD_KILLED: "Nothing is known to be wrong with the code. " + _ANEW,
    Reason.SOURCE_GONE: "See whether commit {commit} is still in the repository; push a new one if it is not. " + _ANEW,
    Reason.BASE_IMAGE_MISSING: "Tell the platform team: the image that apps start from cannot be read. " + _ANEW,
    Reason.REGISTRY_REFUSED: "Tell the platform team: the registry does not take the image. " + _ANEW,
    Reason.DOCKERFILE_INVALID: "Correct {dockerfile} at the line that is named, and push.",
    Reason.REFUSED: "Tell the platform team; it is tried again every minute.",
    Reason.INVALID_SPEC: "Delete it: builds are made by the operator.",
}
_OF_DOCKERFILE: dict[str, str] = {
    Reason.BASE_IMAGE_MISSING: "Name in FROM of {dockerfile} an image that there is and that builds may read, and push.",
    Reason.PACKAGE_NOT_FOUND: "Correct the package's name or version in {dockerfile}, and push.",
}
"""Where the app brings a Dockerfile of its own, and it is the author's to mend."""
_OTHERWISE = "Read the last lines of the log, correct what they name, and push."


def next_step(reason: Reason, spec: AppBuildSpec) -> str:
    """What to do about a build that failed for this reason."""
    steps = _STEPS | _OF_DOCKERFILE if spec.dockerfile else _STEPS
    return steps.get(reason, _OTHERWISE).format(
        dependencies=spec.dependencies.source or spec.dockerfile or "your list of packages",
        commit=spec.commit[:7],
        dockerfile=spec.dockerfile or "the Dockerfile",
    )
