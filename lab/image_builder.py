"""The images that builds need: the builder itself, and what the images of apps are built on.

A build pod runs BuildKit, compiled here from its Go module, in a small Debian. The bases of apps are platform images: a
recipe stands on one of them by digest, and adds the app's packages and code.
"""

from collections.abc import Mapping
from pathlib import Path

from lab import binaries
from lab.context import Lab
from lab.image_build import Builder
from lab.image_recipe import Image, Recipe
from lab.image_rootfs import RootFs

R_PACKAGES = (
    "r-base-core", "r-cran-bslib", "r-cran-dplyr", "r-cran-dt", "r-cran-ggplot2", "r-cran-jsonlite", "r-cran-lubridate",
    "r-cran-plotly", "r-cran-plumber", "r-cran-readr", "r-cran-renv", "r-cran-shiny", "r-cran-stringr", "r-cran-tidyr",
)  # fmt: skip
ROOT_FILE_SYSTEMS = (
    RootFs("builder", ("curl", "libcap2-bin", "rootlesskit", "runc", "uidmap"), usually=25),
    RootFs("r-packages", R_PACKAGES, usually=90),
)
PROGRAMS = ("buildkitd", "buildctl")


def builder(lab: Lab, make: Builder, base: Image) -> Image:
    """The image of a build pod."""
    binaries.have(lab, PROGRAMS)
    return make.ensure(builder_recipe(lab, base, make.ensure(programs(lab))))


def programs(lab: Lab) -> Recipe:
    """BuildKit's two programs, as an image that holds nothing else."""
    return Recipe(
        "lab/buildkit",
        _dockerfile(lab, "buildkit"),
        usually=5,
        args={"VERSION": lab.versions["buildkit"]["version"]},  # stands for the programs in the recipe's key
        big={name: binaries.path(lab, name) for name in PROGRAMS},
    )


def builder_recipe(lab: Lab, base: Image, buildkit: Image) -> Recipe:
    """Debian, what BuildKit needs to run without root, and BuildKit."""
    return Recipe("lab/builder", _dockerfile(lab, "builder"), usually=5, base=base, others={"BUILDKIT": buildkit})


def app_bases(lab: Lab, make: Builder, bases: Mapping[str, Image]) -> dict[str, Image]:
    """What apps are built on, by language."""
    return {
        "python": make.ensure(build_python(lab, bases["python"])),
        "r": make.ensure(build_r(lab, bases["r-packages"])),
    }


def build_python(lab: Lab, base: Image) -> Recipe:
    """Python with uv."""
    return Recipe(
        "base/build-python",
        _dockerfile(lab, "build-python"),
        usually=10,
        base=base,
        args={"UV": lab.versions["uv"]["version"]},
    )


def build_r(lab: Lab, base: Image) -> Recipe:
    """R with Shiny, plumber and the usual packages."""
    return Recipe("base/build-r", _dockerfile(lab, "build-r"), usually=5, base=base)


def _dockerfile(lab: Lab, name: str) -> Path:
    return lab.checkout / "lab" / "images" / name / "Dockerfile"
