"""A lab whose directories are all inside a test's own: nothing of it runs, and nothing outside is touched."""

import tomllib
from pathlib import Path

from lab.context import CHECKOUT, Lab


def lab_in(place: Path) -> Lab:
    """A `Lab` with cache, state and output below `place`."""
    versions = tomllib.loads((CHECKOUT / "lab" / "versions.toml").read_text())
    state = place / "state"
    state.mkdir(parents=True)
    return Lab(
        checkout=CHECKOUT,
        cache=place / "cache",
        state=state,
        out=place / "out",
        versions=versions,
        kubeconfig=state / "kubeconfig",
    )
