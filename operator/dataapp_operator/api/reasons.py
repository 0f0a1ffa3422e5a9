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
    ABORTED = "Aborted"
    DRAINING = "Draining"
    WARM = "Warm"
    RETIRED = "Retired"


ENDS: frozenset[str] = frozenset({Phase.FAILED, Phase.ROLLED_BACK, Phase.SUPERSEDED, Phase.ABORTED, Phase.RETIRED})
"""Nothing of such a release runs any more, and nothing more happens to it."""
NOT_RELEASED: frozenset[str] = ENDS - {Phase.RETIRED}
"""Such a release was never released; its record says why."""


class Reason(StrEnum):
    """Why something is as it is."""

    # what a release does, or waits for
    RELEASED = "Released"
    STARTING = "Starting"
    CHECKING = "Checking"
    SWITCHING = "Switching"
    HOLDING = "Holding"
    SCALING = "Scaling"
    METRIC_FAILED = "MetricFailed"
    METRIC_INCONCLUSIVE = "MetricInconclusive"
    PROMETHEUS_MISSING = "PrometheusMissing"
    PAUSED = "Paused"
    ABORTED = "Aborted"
    TAKEN_BACK = "TakenBack"
    BAKING = "Baking"
    ROLLING_BACK = "RollingBack"
    EARLIER_ENVIRONMENT = "EarlierEnvironment"
    UNAVAILABLE = "Unavailable"
    SUPERSEDED = "Superseded"
    RECORD_DELETED = "RecordDeleted"
    READING_CODE = "ReadingCode"
    BUILDING = "Building"
    BUILT = "Built"
    SYNCED = "Synced"
    SUSPENDED = "Suspended"
    AWAITING_PROMOTION = "AwaitingPromotion"
    AWAITING_TAG = "AwaitingTag"
    SOAKING = "Soaking"
    PINNED = "Pinned"
    PIN_UNKNOWN = "PinUnknown"
    LEAVING = "Leaving"
    DELETING = "Deleting"
    NODE_LEAVING = "NodeLeaving"
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
    ROLLBACK_UNSAFE = "RollbackUnsafe"
    REFUSED = "Refused"
    SECRET_MISSING = "SecretMissing"  # noqa: S105 - a reason, not a secret
    # what is wrong with a repository, its manifests or its code
    INVALID_URL = "InvalidURL"
    HOST_NOT_ALLOWED = "HostNotAllowed"
    AUTHENTICATION_FAILED = "AuthenticationFailed"
    CREDENTIAL_MISSING = "CredentialMissing"
    GIT_UNREACHABLE = "GitUnreachable"
    REF_NOT_FOUND = "RefNotFound"
    COMMIT_MISSING = "CommitMissing"
    PATH_MISSING = "PathMissing"
    EMPTY_SOURCE = "EmptySource"
    PRUNE_HELD = "PruneHeld"
    TOO_LARGE = "TooLarge"
    UNSAFE_TREE = "UnsafeTree"
    MANIFEST_INVALID = "ManifestInvalid"
    ACCESS_DENIED = "AccessDenied"
    CONFLICT = "Conflict"
    NOTHING_DETECTED = "NothingDetected"
    AMBIGUOUS = "Ambiguous"
    UNSUPPORTED_FRAMEWORK = "UnsupportedFramework"
    DEPENDENCIES_MISSING = "DependenciesMissing"
    SOURCE_MISSING = "SourceMissing"
    BUILDS_DISABLED = "BuildsDisabled"
    # how a build failed
    BUILD_FAILED = "BuildFailed"
    PACKAGE_NOT_FOUND = "PackageNotFound"
    BUILD_OUT_OF_MEMORY = "BuildOutOfMemory"
    BUILD_TIMED_OUT = "BuildTimedOut"
    BUILD_DISK_FULL = "BuildDiskFull"
    BUILD_KILLED = "BuildKilled"
    BASE_IMAGE_MISSING = "BaseImageMissing"
    REGISTRY_REFUSED = "RegistryRefused"
    SOURCE_GONE = "SourceGone"
    DOCKERFILE_INVALID = "DockerfileInvalid"
    # how a release failed
    IMAGE_PULL_FAILED = "ImagePullFailed"
    CRASHED = "Crashed"
    PORT_CLOSED = "NothingListens"
    DEADLINE = "DeadlineExceeded"
    SESSION_FAILED = "SessionFailed"
    SESSION_INCONCLUSIVE = "SessionInconclusive"
    NOT_READY = "NotReady"
    RELEASE_FAILED = "ReleaseFailed"
