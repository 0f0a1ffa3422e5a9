"""Two tiny images that the node itself needs, written as archives without any build tool, and imported.

`pause` holds a pod's namespaces open. `busybox` (Debian's static binary) is for the node's self-check: a shell, an
HTTP server and a resolver in 2 MB.
"""

import hashlib
import io
import json
import tarfile
from pathlib import Path

from lab.context import Lab
from lab.progress import say

REPOSITORY = "localhost/dataapp-lab"


def pause_image(lab: Lab) -> str:
    """The name under which containerd knows the sandbox image."""
    return f"{REPOSITORY}/pause:{lab.versions['pause']['version']}"


BUSYBOX = f"{REPOSITORY}/busybox:1"


def ensure(lab: Lab, ctr: list[str]) -> None:
    """Import whatever of the two containerd does not have; `ctr` is its client with address and namespace."""
    present = lab.run([*ctr, "images", "ls", "-q"], log="containerd-client").split()
    for name, files, entry in (
        (pause_image(lab), {"pause": lab.binary("pause")}, ["/pause"]),
        (BUSYBOX, {"bin/busybox": Path("/bin/busybox"), "bin/sh": Path("/bin/busybox")}, ["/bin/busybox"]),
    ):
        if name in present:
            continue
        say(f"  importing {name}")
        archive = lab.state / "image.tar"
        archive.write_bytes(docker_archive(name, files, entry))
        lab.run([*ctr, "images", "import", archive], log="containerd-client")
        archive.unlink()


def docker_archive(name: str, files: dict[str, Path], entrypoint: list[str]) -> bytes:
    """A one-layer image in `docker save` format: the layer, a config naming it, a manifest naming both."""
    layer = _tar({target: (source.read_bytes(), 0o755) for target, source in files.items()})
    config = json.dumps(
        {
            "architecture": _architecture(),
            "os": "linux",
            "config": {"Entrypoint": entrypoint, "Env": ["PATH=/bin"], "User": "65534:65534"},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
        }
    ).encode()
    config_name = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = json.dumps([{"Config": config_name, "RepoTags": [name], "Layers": ["layer.tar"]}]).encode()
    return _tar({"layer.tar": (layer, 0o644), config_name: (config, 0o644), "manifest.json": (manifest, 0o644)})


def _tar(members: dict[str, tuple[bytes, int]]) -> bytes:
    """A tar with fixed times and owners, so that equal content is an equal image."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, (data, mode) in members.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), mode
            archive.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def _architecture() -> str:
    """Architecture of this machine in the words of image specifications."""
    import platform  # noqa: PLC0415  only here

    return {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
