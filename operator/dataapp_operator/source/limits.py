"""How much one repository may cost. A limit is a promise to everybody else who uses the same operator."""

from dataclasses import dataclass

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes, seconds and counts; the defaults suit a volume of 10 GiB and a container of 1 GiB."""

    mirror_bytes: int = 1 * GIB  # on disk, of one mirror
    total_bytes: int = 8 * GIB  # on disk, of all mirrors: the longest unused go first
    growth: int = 4  # a mirror this many times its first size is fetched afresh
    packs: int = 50  # so is one that has been fetched into so often
    look_seconds: float = 30.0
    fetch_seconds: float = 300.0
    read_seconds: float = 60.0
    low_speed_bytes: int = 1024  # less than this per second …
    low_speed_seconds: int = 30  # … for so long: the server counts as hung
    address_space: int = 768 * MIB  # of one git process
    answer_bytes: int = 32 * MIB  # of one git process's output that we keep
    entries: int = 200_000  # of a listing of a repository
    app_entries: int = 20_000
    app_bytes: int = 256 * MIB
    file_bytes: int = 100 * MIB
    manifest_bytes: int = 1 * MIB
    text_bytes: int = 1 * MIB  # of a file that detection reads
    text_files: int = 200
    text_depth: int = 3
    archives_bytes: int = 2 * GIB
    archives_seconds: float = 3600.0  # an archive that nobody has asked for in so long is deleted
    processes: int = 4  # at once
    failure_seconds: float = 10.0  # for how long a failure is told again without another try
