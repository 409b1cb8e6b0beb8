"""How many files this process may have open at once."""

from __future__ import annotations

MOST = 65_536  # that are asked of the system: a connection for each request in flight, a journal for each shard


def allow_many() -> None:
    """Raise this process's limit of open files as far as it may be raised by anyone."""
    try:
        import resource
    except ImportError:  # not on this system, which then has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST if hard == resource.RLIM_INFINITY else min(hard, MOST)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
