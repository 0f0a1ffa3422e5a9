"""What watches releases from outside: live sessions, new visitors, and the invariants at every event.

Tests use it against the lab; people can use it against their own cluster through a loopback port of their gateway.
"""
