"""The node's own images are whole `docker save` archives, equal for equal content."""

import hashlib
import io
import json
import tarfile

from lab import node_images


def test_an_archive_names_its_layer_by_digest_and_is_reproducible(tmp_path):
    program = tmp_path / "pause"
    program.write_bytes(b"\x7fELF")
    data = node_images.docker_archive("localhost/x:1", {"pause": program}, ["/pause"])
    assert data == node_images.docker_archive("localhost/x:1", {"pause": program}, ["/pause"])
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        members = {one.name: archive.extractfile(one).read() for one in archive.getmembers()}  # type: ignore[union-attr]
    (manifest,) = json.loads(members["manifest.json"])
    config = json.loads(members[manifest["Config"]])
    layer = members[manifest["Layers"][0]]
    assert manifest["RepoTags"] == ["localhost/x:1"]
    assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(layer).hexdigest()}"]
    with tarfile.open(fileobj=io.BytesIO(layer)) as content:
        (entry,) = content.getmembers()
        assert (entry.name, entry.mode) == ("pause", 0o755)
