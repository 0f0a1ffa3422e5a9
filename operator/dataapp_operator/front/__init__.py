"""The front: the HAProxy sidecar between the gateway and one app process, and what the operator must know about it.

`haproxy.cfg`, `front.lua` and `unavailable.html` are the front itself, baked into its image as they are.
"""
