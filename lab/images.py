"""Stage `images`: every image that the lab's cluster runs, built here and pushed to the lab's registry.

From the ground up: base images from Debian packages; the front, the gateway and the operator on top of them; the builder
and what it builds apps on (lab/image_builder.py); and the example apps, healthy and broken ones, that the tests and the
demonstration release. Each Dockerfile names a public base by default and works with any builder; the lab passes its own
base instead. What was built is listed by digest in build/lab/images.json.
"""

import json
from pathlib import Path

from lab import files, image_builder, lock
from lab.context import Lab
from lab.image_build import Builder
from lab.image_recipe import Image, Recipe
from lab.image_rootfs import RootFs

ROOT_FILE_SYSTEMS = (
    RootFs("python", ("python3", "python3-pip", "python3-venv"), usually=30),
    RootFs("r", ("r-base-core", "r-cran-shiny"), usually=40),
    RootFs("haproxy", ("haproxy",), usually=25),
    RootFs("operator", ("python3", "python3-pip", "python3-venv", "git"), usually=35),
    *image_builder.ROOT_FILE_SYSTEMS,
)
_HOST_AUTHORITIES = Path("/usr/local/share/ca-certificates")  # where Debian keeps those that its owner added


def run(lab: Lab) -> None:
    """Have every image in the registry and build/lab/images.json written; takes a second when nothing changed."""
    builder = Builder(lab)
    with lock.cache_lock(lab, "images"):
        builder.tidy()
        bases = {rootfs.name: _base(lab, builder, rootfs) for rootfs in ROOT_FILE_SYSTEMS}
        refs = {
            "operator": builder.ensure(operator(lab, bases["operator"])).ref,
            "front": builder.ensure(front(lab, bases["haproxy"])).ref,
            "traefik": builder.ensure(traefik(lab, bases["python"])).ref,
            "builder": image_builder.builder(lab, builder, bases["builder"]).ref,
            "bases": {name: image.ref for name, image in image_builder.app_bases(lab, builder, bases).items()},
            "apps": _apps(lab, builder, bases),
        }
    files.write(lab.out / "images.json", json.dumps(refs, indent=1) + "\n")


def _base(lab: Lab, builder: Builder, rootfs: RootFs) -> Image:
    recipe = Recipe(
        f"base/{rootfs.name}",
        lab.checkout / "lab" / "images" / "base" / "Dockerfile",
        usually=15,
        files={"ca": _HOST_AUTHORITIES},
        big={"root.tar": rootfs.path(lab)},
    )
    return builder.ensure(recipe, before=lambda: rootfs.make(lab))


def operator(lab: Lab, base: Image) -> Recipe:
    """Our own program, from the Dockerfile at the top of the checkout."""
    inputs = ("pyproject.toml", "uv.lock", "README.md", "operator")
    return Recipe(
        "lab/operator",
        lab.checkout / "Dockerfile",
        usually=45,
        base=base,
        args={"UV": lab.versions["uv"]["version"]},
        files={name: lab.checkout / name for name in inputs},
    )


def front(lab: Lab, base: Image) -> Recipe:
    """The sidecar: HAProxy and the files that make it the front."""
    source = lab.checkout / "operator" / "dataapp_operator" / "front"
    return Recipe(
        "lab/front",
        lab.checkout / "lab" / "images" / "front" / "Dockerfile",
        usually=5,
        base=base,
        files={
            name: source / name
            for name in ("haproxy.cfg", "front.lua", "unavailable.html", "full.html", "renewing.html")
        },
    )


def traefik(lab: Lab, base: Image) -> Recipe:
    """The gateway that the lab uses; a cluster of one's own has its own."""
    return Recipe(
        "lab/traefik",
        lab.checkout / "lab" / "images" / "traefik" / "Dockerfile",
        usually=25,
        base=base,
        args={"VERSION": lab.versions["traefik"]["version"]},
    )


def _apps(lab: Lab, builder: Builder, bases: dict[str, Image]) -> dict[str, str]:
    """Every directory of examples/apps with an app.py or an app.R in it, by its name."""
    stands_on = {
        "streamlit": builder.ensure(_app_base(lab, "streamlit-base", bases["python"])),
        "web": builder.ensure(_app_base(lab, "web-base", bases["python"])),
        "r": bases["r"],
    }
    directories = sorted(path.parent for path in apps_home(lab).glob("*/app.*"))
    return {path.name: builder.ensure(example_app(path, stands_on)).ref for path in directories}


def apps_home(lab: Lab) -> Path:
    """Where the example apps are."""
    return lab.checkout / "examples" / "apps"


def _app_base(lab: Lab, name: str, base: Image) -> Recipe:
    """Python with frameworks in it, for apps to stand on."""
    home = apps_home(lab) / name
    files = {"requirements.txt": home / "requirements.txt"}
    return Recipe(f"apps/{name}", home / "Dockerfile", usually=90, base=base, files=files)


def example_app(path: Path, stands_on: dict[str, Image]) -> Recipe:
    """One example app: R by its app.R, Streamlit by its name; a scripted one in Python shares scripted/ with the others."""
    home, name = path.parent, path.name
    if (path / "app.R").exists():
        dockerfile, base = "shiny", stands_on["r"]
    elif "streamlit" in name:
        dockerfile, base = "streamlit", stands_on["streamlit"]
    else:
        dockerfile, base = "scripted", stands_on["web"]
    files, args = {".": path}, {}
    if name.startswith("scripted-") and dockerfile != "shiny":
        dockerfile, args = "scripted", {"APP": name}
        files = {"scripted": home / "scripted", name: path}
    return Recipe(f"apps/{name}", home / f"{dockerfile}.Dockerfile", usually=5, base=base, args=args, files=files)
