"""Taking the lab's traces away, proved where nothing else can be hurt: in a network and mount namespace of its own."""

import os
import re
import shutil
import subprocess
import sys

import pytest

from lab.context import CHECKOUT

pytestmark = [
    pytest.mark.journey,
    pytest.mark.skipif(os.geteuid() != 0 or shutil.which("unshare") is None, reason="needs root and unshare"),
]
_ID = "2fe750f5ce100c0af8e9312176c06fe4391a9e60d81847e1eacb1767776ed079"
_OURS = f"""*nat
:CNI-015ba9b0f9e0593ecd78ca88 - [0:0]
:CNI-DN-fed5f6717856ecd8f4f83 - [0:0]
:CNI-HOSTPORT-DNAT - [0:0]
:CNI-HOSTPORT-MASQ - [0:0]
:CNI-HOSTPORT-SETMARK - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT
-A OUTPUT -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT
-A POSTROUTING -m comment --comment "CNI portfwd requiring masquerade" -j CNI-HOSTPORT-MASQ
-A POSTROUTING -s 10.244.0.4/32 -m comment --comment "name: \\"dataapp-lab\\" id: \\"{_ID}\\"" -j CNI-015ba9b0f9e0593ecd78ca88
-A CNI-015ba9b0f9e0593ecd78ca88 ! -d 224.0.0.0/4 -m comment --comment "name: \\"dataapp-lab\\" id: \\"{_ID}\\"" -j MASQUERADE
-A CNI-DN-fed5f6717856ecd8f4f83 -d 127.0.0.1/32 -p tcp -m tcp --dport 8088 -j DNAT --to-destination 10.244.0.11:8000
-A CNI-HOSTPORT-DNAT -p tcp -m comment --comment "dnat name: \\"dataapp-lab\\" id: \\"{_ID}\\"" -m multiport --dports 8088 -j CNI-DN-fed5f6717856ecd8f4f83
-A CNI-HOSTPORT-MASQ -m mark --mark 0x2000/0x2000 -j MASQUERADE
-A CNI-HOSTPORT-SETMARK -m comment --comment "CNI portfwd masquerade mark" -j MARK --set-xmark 0x2000/0x2000
COMMIT
"""  # noqa: E501  as iptables-save writes them
_FOREIGN = """*nat
:CNI-aaaaaaaaaaaaaaaaaaaaaaaa - [0:0]
:CNI-DN-bbbbbbbbbbbbbbbbbbbbb - [0:0]
-A POSTROUTING -s 10.88.0.4/32 -m comment --comment "name: \\"podman\\" id: \\"77\\"" -j CNI-aaaaaaaaaaaaaaaaaaaaaaaa
-A CNI-aaaaaaaaaaaaaaaaaaaaaaaa ! -d 224.0.0.0/4 -m comment --comment "name: \\"podman\\" id: \\"77\\"" -j MASQUERADE
-A CNI-DN-bbbbbbbbbbbbbbbbbbbbb -p tcp -m tcp --dport 9000 -j DNAT --to-destination 10.88.0.4:80
-A CNI-HOSTPORT-DNAT -p tcp -m comment --comment "dnat name: \\"podman\\" id: \\"77\\"" -m multiport --dports 9000 -j CNI-DN-bbbbbbbbbbbbbbbbbbbbb
COMMIT
"""  # noqa: E501


def _inside(code: str, *arguments: str, kinds: str = "--net") -> str:
    """Run Python in new namespaces of these kinds, with a lab whose directories are `arguments[0]`."""
    opening = (
        "import sys, subprocess; from pathlib import Path; from tests.unit.lab_rig import lab_in; "
        "from lab import network, mounts, files, settings; lab = lab_in(Path(sys.argv[1]))\n"
    )
    done = subprocess.run(
        ["unshare", *kinds.split(), sys.executable, "-c", opening + code, *arguments],
        cwd=CHECKOUT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


_CLEAN = """
for rules in sys.argv[2:]:
    subprocess.run(["iptables-restore", "--noflush"], input=rules.encode(), check=True)
for command in ("ip link add kbr0 type bridge", "ip addr add 10.251.0.1/24 dev kbr0", "ip link add other0 type bridge",
                "nft add table ip kube-proxy", "nft add table ip6 kube-proxy", "nft add table inet other"):
    subprocess.run(command.split(), check=True)
network.clean(lab)
network.clean(lab)
for command in ("iptables -t nat -S", "ip -br link", "nft list tables"):
    print(subprocess.run(command.split(), check=True, capture_output=True, text=True).stdout)
"""


def test_every_trace_of_ours_goes_and_nobody_elses(tmp_path):
    left = _inside(_CLEAN, str(tmp_path), _OURS, _FOREIGN)
    assert "dataapp-lab" not in left
    assert "kbr0" not in left
    assert "kube-proxy" not in left
    assert "CNI-DN-fed5f6717856ecd8f4f83" not in left
    assert "other0" in left
    assert "table inet other" in left
    assert 'dnat name: \\"podman\\"' in left
    assert "-A OUTPUT -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT" in left


def test_with_only_our_rules_the_shared_chains_go_too(tmp_path):
    left = _inside(_CLEAN, str(tmp_path), _OURS)
    assert "CNI" not in left


def test_the_bridge_is_made_once_with_its_address(tmp_path):
    shown = _inside(
        "network.ensure_bridge(lab); network.ensure_bridge(lab); "
        "print(subprocess.run(['ip', '-br', '-4', 'addr', 'show', 'kbr0'], capture_output=True, text=True).stdout)",
        str(tmp_path),
    )
    assert shown.count("10.251.0.1/24") == 1


def test_addresses_that_are_in_use_are_refused_in_words(tmp_path):
    shown = _inside(
        "for c in ('ip link add vpn0 type bridge', 'ip addr add 10.251.0.7/24 dev vpn0', 'ip link set vpn0 up'):\n"
        "    subprocess.run(c.split(), check=True)\n"
        "try: network.ensure_bridge(lab)\n"
        "except network.LabError as error: print(error)",
        str(tmp_path),
    )
    assert "are already routed on this machine" in shown
    assert "vpn0" in shown


def test_a_foreign_node_is_refused_in_words(tmp_path):
    shown = _inside(
        "subprocess.run('nft add table ip kube-proxy'.split(), check=True)\n"
        "try: network.refuse_foreign_node(lab)\n"
        "except network.LabError as error: print(error)",
        str(tmp_path),
    )
    assert "use LAB=current" in shown


def test_forwarding_is_allowed_once_where_the_machine_drops_it(tmp_path):
    shown = _inside(
        "subprocess.run('iptables -P FORWARD DROP'.split(), check=True)\n"
        "network.allow_forwarding(lab); network.allow_forwarding(lab)\n"
        "print(subprocess.run('iptables -S FORWARD'.split(), capture_output=True, text=True).stdout)\n"
        "network.clean(lab)\n"
        "print('after', subprocess.run('iptables -S FORWARD'.split(), capture_output=True, text=True).stdout)",
        str(tmp_path),
    )
    during, after = shown.split("after")
    assert during.count("dataapp-lab") == 2
    assert "dataapp-lab" not in after


def test_the_git_server_is_ended_even_when_its_record_is_lost(tmp_path):
    shown = _inside(
        "subprocess.run('ip link set lo up'.split(), check=True)\n"
        "subprocess.run('ip link add kbr0 type bridge'.split(), check=True)\n"
        "subprocess.run('ip addr add 10.251.0.1/24 dev kbr0'.split(), check=True)\n"
        "from lab import pki, processes, services, teardown\n"
        "lab.log('x').parent.mkdir(parents=True); lab.out.mkdir(); pki.directory(lab).mkdir()\n"
        "pki.ensure_services(lab); services._git(lab); print(services.healthy(lab, 'gitserver'))\n"
        "record = processes.load(lab.state / 'run' / 'gitserver.json')\n"
        "(lab.state / 'run' / 'gitserver.json').unlink()\n"
        "print([one.pid == record.pid for one in teardown.strays(lab)])\n"
        "for one in teardown.strays(lab): processes.end(one, patience=5)\n"
        "print(processes.alive(record)); teardown.remove(lab); print(list(lab.out.iterdir()))",
        str(tmp_path),
    )
    assert re.findall(r"^(True|False|\[.*\])$", shown, re.MULTILINE) == ["True", "[True]", "False", "[]"]


def test_mounts_come_off_also_when_stacked_and_busy_and_nothing_is_deleted_through_one(tmp_path):
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "data").write_text("precious")
    shown = _inside(
        "place = lab.state / 'pods' / 'a b'; place.mkdir(parents=True)\n"
        "for _ in range(2): subprocess.run(['mount', '--bind', sys.argv[2], place], check=True)\n"
        "holder = open(place / 'data')\n"
        "try: mounts.remove_tree(lab.state)\n"
        "except mounts.LabError as error: print(error)\n"
        "mounts.unmount(lab, lab.state); mounts.remove_tree(lab.state); print(lab.state.exists())",
        str(tmp_path),
        str(kept),
        kinds="--mount",
    )
    assert "is still mounted in it" in shown
    assert shown.strip().endswith("False")
    assert (kept / "data").read_text() == "precious"


def test_a_full_disk_leaves_no_half_file(tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    shown = _inside(
        "subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=64k', 'none', sys.argv[2]], check=True)\n"
        "place = Path(sys.argv[2]) / 'config'; files.write(place, 'old')\n"
        "try: files.write(place, b'x' * 200_000)\n"
        "except OSError as error: print(error.errno)\n"
        "print(place.read_text(), [one.name for one in Path(sys.argv[2]).iterdir()])",
        str(tmp_path),
        str(small),
        kinds="--mount",
    )
    assert shown.split("\n")[:2] == ["28", "old ['config']"]
