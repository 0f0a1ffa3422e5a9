"""Kopf, settings and wiring: the only layer that knows how the process is put together."""
