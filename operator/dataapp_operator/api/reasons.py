"""Every reason that a condition, a release or a ``waitingFor`` may carry.

A reason is for machines (alerts, ``kubectl wait``, dashboards) and never changes its meaning; the message beside it is
for people. One list, so that nobody invents a second word for the same thing.
"""

from enum import StrEnum


class Phase(StrEnum):
    """Where a release is. The order of the first six is the order a good release goes through."""

    PENDING = "Pending"
    DEPLOYING = "Deploying"
    CHECKING = "Checking"
    RELEASING = "Releasing"
    BAKING = "Baking"
    RELEASED = "Released"
    FAILED = "Failed"
    ROLLED_BACK = "RolledBack"
    SUPERSEDED = "Superseded"
    DRAINING = "Draining"
    RETIRED = "Retired"


class Reason(StrEnum):
    """Why something is as it is."""

    # what a release does, or waits for
    RELEASED = "Released"
    STARTING = "Starting"
    CHECKING = "Checking"
    SWITCHING = "Switching"
    BAKING = "Baking"
    ROLLING_BACK = "RollingBack"
    EARLIER_ENVIRONMENT = "EarlierEnvironment"
    UNAVAILABLE = "Unavailable"
    SUPERSEDED = "Superseded"
    RECORD_DELETED = "RecordDeleted"
    # what a person has to mend
    INVALID_SPEC = "InvalidSpec"
    CLASS_MISSING = "EnvironmentClassMissing"
    GATEWAY_API_MISSING = "GatewayAPIMissing"
    GATEWAY_MISSING = "GatewayMissing"
    GATEWAY_REJECTED = "GatewayRejected"
    GATEWAY_SILENT = "GatewaySilent"
    HOST_INVALID = "HostInvalid"
    HOST_TAKEN = "HostTaken"
    QUOTA_EXCEEDED = "QuotaExceeded"
    NO_ROOM = "NoRoom"
    REFUSED = "Refused"
    SECRET_MISSING = "SecretMissing"  # noqa: S105 - a reason, not a secret
    # how a release failed
    IMAGE_PULL_FAILED = "ImagePullFailed"
    CRASHED = "Crashed"
    PORT_CLOSED = "NothingListens"
    DEADLINE = "DeadlineExceeded"
    SESSION_FAILED = "SessionFailed"
    SESSION_INCONCLUSIVE = "SessionInconclusive"
    NOT_READY = "NotReady"
    RELEASE_FAILED = "ReleaseFailed"
