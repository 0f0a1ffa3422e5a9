"""One Lease on a server that is a dict with resourceVersions, and lines to it that are slow, broken, or lose answers.

It injects faults; two holders on a real API server are in tests/apiserver.
"""

import asyncio
import copy

from dataapp_operator.kube.errors import AlreadyExists, Conflict, Missing, Transient
from dataapp_operator.kube.lease import LeaseHolder, Terms


class Server:
    """One Lease behind one resourceVersion."""

    def __init__(self):
        self.lease = None
        self.version = 0

    async def get(self, *_where):
        return copy.deepcopy(self.lease)

    async def create(self, manifest):
        if self.lease:
            raise AlreadyExists("exists")
        return self.store(manifest)

    async def replace(self, manifest):
        if not self.lease:
            raise Missing("gone")
        if manifest["metadata"]["resourceVersion"] != self.lease["metadata"]["resourceVersion"]:
            raise Conflict("moved on")
        return self.store(manifest)

    def store(self, manifest):
        self.version += 1
        self.lease = copy.deepcopy(manifest)
        self.lease["metadata"]["resourceVersion"] = str(self.version)
        return copy.deepcopy(self.lease)

    @property
    def holder(self):
        return self.lease["spec"]["holderIdentity"]


class Line:
    """A holder's line to the server; `fault` decides what becomes of each call from now on."""

    def __init__(self, server):
        self.server = server
        self.fault = None  # None, "down", "deaf" (arrives, the answer is lost), or seconds of delay before arriving

    async def through(self, call):
        if self.fault == "down":
            raise Transient("down")
        if isinstance(self.fault, float):
            await asyncio.sleep(self.fault)
        answer = await call()
        if self.fault == "deaf":
            raise Transient("no answer")
        return answer

    async def get(self, *where):
        return await self.through(lambda: self.server.get(*where))

    async def create(self, manifest):
        return await self.through(lambda: self.server.create(manifest))

    async def replace(self, manifest):
        return await self.through(lambda: self.server.replace(manifest))


def now():
    return asyncio.get_running_loop().time()


def make(line, identity):
    return LeaseHolder(line, name="op", namespace="ns", identity=identity, terms=Terms(), clock=now)
