"""The lab: a real Kubernetes on one bare Debian machine, for tests and demonstrations.

It needs nothing but Python's standard library, because it runs before anything else is installed. Each stage is one
module with `run(lab)`, safe to run again at any time: it looks at what is there and does only what is missing.
"""
