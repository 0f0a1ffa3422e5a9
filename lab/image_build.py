"""Building an image with buildah and pushing it to the lab's registry, unless that has been done.

buildah needs no daemon and no container engine. It works in a storage of its own inside the cache, so that the layers
of one build serve the next, with chroot isolation, which needs nothing from the kernel but chroot itself. The digest of
each pushed image is kept in the cache under the recipe's key, and is believed only if the registry still has it.
"""

import os
import shutil
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from lab import files, mounts
from lab.context import Lab, LabError
from lab.image_recipe import Image, Recipe
from lab.image_rootfs import work

_MANIFEST = "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"
_LAYERS = 300  # about 90 are in use; each edit of the operator adds three
_FREE = 6 * 2**30  # bytes
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # the registry is on this machine


@dataclass
class Builder:
    """buildah with the storage in the lab's cache. Two must not work at a time: hold the cache lock `images`."""

    lab: Lab
    home: Path = field(init=False)

    def __post_init__(self) -> None:
        self.home = self.lab.cache / "images"

    def tidy(self) -> None:
        """Remove what a killed run left half-done, and make the directory for work in progress. Call it first."""
        mounts.unmount(self.lab, self.home)
        mounts.remove_tree(work(self.lab))
        work(self.lab).mkdir(parents=True)

    def ensure(self, recipe: Recipe, before: Callable[[], object] = lambda: None) -> Image:
        """The image of `recipe`, built and pushed if the registry does not have it; `before` runs ahead of a build."""
        key = recipe.key()
        record = self.home / "digests" / f"{recipe.name.replace('/', '.')}-{key}"
        name = f"{self.lab.registry_push}/{recipe.name}:{key}"
        digest = record.read_text().strip() if record.exists() else ""
        if not digest or not self._has(recipe.name, digest):
            before()
            with self.lab.step(f"image {recipe.name}", recipe.usually):
                digest = self._build_and_push(recipe, name)
            files.write(record, digest + "\n")
        return Image(key=key, local=name, ref=f"{self.lab.registry_name}/{recipe.name}@{digest}")

    def _build_and_push(self, recipe: Recipe, name: str) -> str:
        files.need_space(self.home, gib=3, what_for=f"building the image {recipe.name}")
        with tempfile.TemporaryDirectory(dir=work(self.lab)) as scratch:
            context, digest = Path(scratch, "context"), Path(scratch, "digest")
            context.mkdir()
            recipe.assemble(context)
            self._buildah(
                "bud", "--quiet", "--layers", "--isolation", "chroot", "--pull=false", "--tls-verify=false",
                *(word for argument, value in recipe.arguments().items() for word in ("--build-arg", f"{argument}={value}")),
                "--tag", name, "--file", str(recipe.dockerfile), str(context),
            )  # fmt: skip
            self._buildah(
                "push", "--quiet", "--tls-verify=false", "--compression-format", "gzip", "--compression-level", "3",
                "--digestfile", str(digest), name, f"docker://{name}",
            )  # fmt: skip
            return digest.read_text().strip()

    def _has(self, name: str, digest: str) -> bool:
        """Whether the registry has this very manifest. Raises LabError when there is no registry to ask."""
        url = f"http://{self.lab.registry_push}/v2/{name}/manifests/{digest}"
        try:
            with _DIRECT.open(urllib.request.Request(url, method="HEAD", headers={"Accept": _MANIFEST}), timeout=10):
                return True
        except urllib.error.HTTPError:
            return False
        except (urllib.error.URLError, OSError) as error:
            raise LabError(
                f"The image registry at {self.lab.registry_push} does not answer ({error}). `python3 -m lab status` "
                "says whether it runs and where its log is; `python3 -m lab up` starts it."
            ) from None

    def _buildah(self, command: str, *args: str) -> str:
        return self.lab.run(["buildah", *self._storage, command, *args], log="images", env=self._environment)

    @property
    def _environment(self) -> dict[str, str]:
        home = os.environ.get("NO_PROXY") or os.environ.get("no_proxy") or ""
        direct = ",".join(filter(None, [home, self.lab.registry_push.rpartition(":")[0]]))
        return {"NO_PROXY": direct, "no_proxy": direct, "TMPDIR": str(work(self.lab))}

    @cached_property
    def _storage(self) -> list[str]:
        """Where buildah keeps layers, and how: overlay where the kernel and the disk allow it, else plain copies (vfs).

        Working containers that a killed build left behind are removed here, and so are all layers when there are so many
        that looking through them takes longer than a build, or when the disk gets full: the registry has what counts.
        """
        # What is mounted where is forgotten from one run to the next, just as a reboot forgets the mounts themselves.
        where = ["--root", str(self.home / "storage"), "--runroot", str(work(self.lab) / "run")]
        complaints = []
        for driver in ("overlay", "vfs"):
            options = [*where, "--storage-driver", driver]
            try:
                self.lab.run(["buildah", *options, "from", "scratch"], log="images")
                self.lab.run(["buildah", *options, "rm", "--all"], log="images")
                layers = self.lab.run(["buildah", *options, "images", "--all", "--quiet"], log="images").split()
                if len(layers) > _LAYERS or shutil.disk_usage(self.home).free < _FREE:
                    self.lab.run(["buildah", *options, "rmi", "--all", "--force"], log="images")
            except LabError as error:
                complaints.append(str(error))
            else:
                return options
        raise LabError(
            f"buildah cannot use its storage {self.home / 'storage'}. If it was damaged (by a full disk, say), remove "
            "that directory: it holds nothing that cannot be built again.\n" + "\n".join(complaints)
        )
