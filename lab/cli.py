"""The lab's command line: up, status, down, env, git, kubectl."""

import argparse
import importlib
import os
import shlex
import sys

from lab import files, gitplace, lock, mounts, network, providers, settings, status, teardown
from lab.context import Lab
from lab.errors import LabError
from lab.progress import say

_MODULES = {"control-plane": "controlplane", "operator": "operator_install"}
_NOT_HERE = 77  # the exit code by which test drivers know a skip
_PLAN = """The native lab changes this machine:
  packages     from Debian, as named below when any is missing (apt-get install)
  network      bridge {bridge} with {ip}/24, pods in 10.244.0.0/16, services in 10.96.0.0/16,
               nftables tables `ip kube-proxy` and `ip6 kube-proxy`, iptables chains CNI-*, IP forwarding on;
               the API server listens on port 6443 of every address and asks for a client certificate
  processes    etcd, kube-apiserver, kube-controller-manager, kube-scheduler, containerd, kubelet, kube-proxy,
               coredns, docker-registry (without a password on 127.0.0.1:5000, for tokens on {ip}:5000), a git
               server ({ip}:8443 and 127.0.0.1:8443, a password per team) and Prometheus ({ip}:9090), all as root
  directories  {cache} (programs and images, about 6 GB, kept by `make lab-down`),
               {state}, /run/dataapp-lab, control group dataapp-lab
`make lab-down` takes all of it away but the packages and the cache."""


def main(arguments: list[str]) -> int:
    """Run one command; returns the exit code. Errors are printed as sentences."""
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    try:
        lab = Lab.here(provider=providers.chosen())
        if arguments[:1] == ["kubectl"]:
            return _kubectl(lab, arguments[1:])
        return _command(lab, _parser().parse_args(arguments))
    except providers.NotHereError as error:
        say(str(error))
        return _NOT_HERE
    except LabError as error:
        sys.stderr.write(f"\nThe lab stopped: {error}\n")
        return 1
    except BrokenPipeError:  # the reader of our output has gone, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("\nStopped by you. Run the same command again; it goes on where it was.\n")
        return 130
    except OSError as error:
        if error.errno != 28:  # ENOSPC
            raise
        sys.stderr.write(
            f"\nThe disk is full ({error}). Free some space and run this again; nothing half-written is used.\n"
        )
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python3 -m lab", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="raise the lab; run it again at any time")
    up.add_argument("--until", choices=providers.STAGES, default=providers.STAGES[-1], help="the last stage to run")
    up.add_argument("--yes", action="store_true", help="do not ask before changing this machine")
    commands.add_parser("status", help="what runs, where, and its logs; fails unless all is well")
    down = commands.add_parser("down", help="remove everything but the cache and the packages")
    down.add_argument("--cache", action="store_true", help="remove the shared cache as well")
    commands.add_parser("env", help="shell lines that set KUBECONFIG and PATH")
    git = commands.add_parser("git", help="make a repository on the lab's git server, and say how to use it")
    git.add_argument("team", help="its owner, and the user's name; made when it is new")
    git.add_argument("repository", help="the name without .git")
    commands.add_parser("kubectl", help="kubectl as the cluster's administrator")
    return parser


def _command(lab: Lab, args: argparse.Namespace) -> int:
    if args.command == "up":
        _up(lab, args.until, agreed=args.yes)
    elif args.command == "status":
        return 0 if status.show(lab) else 1
    elif args.command == "down":
        _down(lab, with_cache=args.cache)
    elif args.command == "git":
        place = gitplace.Place.read(lab.out / "git.json")
        place.create(args.team, args.repository)
        print(gitplace.describe(place, args.team, args.repository))
    else:
        _must_hold(lab)
        path = ":".join(str(lab.binary(name).parent) for name in ("kubectl", "helm"))
        print(f"export KUBECONFIG={shlex.quote(str(lab.out / 'kubeconfig'))}\nexport PATH={shlex.quote(path)}:$PATH")
    return 0


def _up(lab: Lab, until: str, *, agreed: bool) -> None:
    if lab.provider == "native":
        with lock.exclusive(lab, "`up`"):
            if not _holds(lab):
                _ask(lab, lock.owner(), agreed=agreed)
            _stages(lab, until)
    else:
        (providers.use_current if lab.provider == "current" else providers.use_kind)(lab)
        _stages(lab, until)
    say(f"\nThe lab is up to stage {until}. KUBECONFIG={lab.out / 'kubeconfig'}  (or: python3 -m lab kubectl …)")
    say(lab.timings.table())


def _stages(lab: Lab, until: str) -> None:
    """Run a provider's stages in order, and remember the furthest one that was completed."""
    for stage in providers.stages(lab.provider):
        if providers.STAGES.index(stage) > providers.STAGES.index(until):
            return
        if stage == "control-plane":  # not before: another lab may go on while this one is still compiling
            _take_hold(lab)
        with lab.timings.timed_stage(stage):
            importlib.import_module(f"lab.{_MODULES.get(stage, stage)}").run(lab)
        before = status.reached_stage(lab)
        if not before or providers.STAGES.index(before) < providers.STAGES.index(stage):
            files.write(lab.state / "reached", stage)


def _holds(lab: Lab) -> bool:
    """Whether this lab is the one of this machine: it is noted so, or it runs and only the note was lost."""
    owner = lock.owner()
    return owner.is_of(lab) if owner is not None else any(lab.running(name) for name in lab.names())


def _take_hold(lab: Lab) -> None:
    """Become the one lab of this machine; another checkout's is stopped, and keeps its state."""
    if not _holds(lab):
        files.need_space(lab.state, gib=2, what_for="the cluster's state")  # before another lab is stopped for it
        owner = lock.owner()
        if owner is None:
            network.refuse_foreign_node(lab)
        else:
            teardown.stop(owner.lab(lab))
            lock.release()
            say(f"The lab of {owner.checkout} is stopped; this checkout takes over.")
    if lock.owner() is None:
        settings.remember(lab)
        lock.claim(lab)


def _ask(lab: Lab, owner: lock.Owner | None, *, agreed: bool) -> None:
    """Say what will change. Raises LabError when the person at the terminal does not want it."""
    say(_PLAN.format(bridge=network.BRIDGE, ip=lab.node_ip, cache=lab.cache, state=lab.state))
    if owner is not None:
        say(f"The lab of {owner.checkout} is up since {owner.since}; it will be stopped (its state stays).")
    if sys.stdin.isatty() and not agreed and os.environ.get("CI") != "true":
        answer = input("Go ahead? [y/N] ")
        if answer.strip().lower() not in ("y", "yes"):
            raise LabError("Nothing was changed.")


def _down(lab: Lab, *, with_cache: bool) -> None:
    if lab.provider == "current":
        say("LAB=current: the cluster stays. The lab's parts in it are the namespaces gateways and dataapp-system.")
        teardown.remove(lab)
        return
    if lab.provider == "kind":
        providers.drop_kind(lab)
        teardown.remove(lab)
        return
    with lock.exclusive(lab, "`down`"):
        owner = lock.owner()
        if _holds(lab):
            teardown.stop(lab)
            lock.release()
        elif owner is not None:
            say(f"The lab of {owner.checkout} holds this machine and is left alone; only our state is removed.")
        teardown.remove(lab)
        if with_cache:
            if owner is not None and not owner.is_of(lab):
                raise LabError(f"The cache {lab.cache} stays: another lab may be using it.")
            with lab.step(f"deleting the cache {lab.cache}", 10):
                mounts.unmount(lab, lab.cache)
                mounts.remove_tree(lab.cache)
            say("The lab is down and its cache is gone. The Debian packages stay.")
        else:
            teardown.say_what_stays(lab)
        if lock.owner() is None:
            lock.vanish()


def _must_hold(lab: Lab) -> None:
    """Never talk to a cluster of another checkout by mistake."""
    owner = lock.owner()
    if lab.provider == "native" and (owner is None or not owner.is_of(lab)):
        whose = f"it is held by {owner.checkout}" if owner else "none is up"
        raise LabError(f"The lab of this checkout is not up ({whose}). `make lab-up` raises it.")


def _kubectl(lab: Lab, arguments: list[str]) -> int:
    _must_hold(lab)
    binary = lab.binary("kubectl")
    words = [str(binary), "--kubeconfig", str(lab.kubeconfig), *arguments]
    os.execv(binary, words)  # noqa: S606  it becomes kubectl
    return 1
