"""Errors of the lab are sentences for people: what happened, and what to do about it."""


class LabError(Exception):
    """Something the person at the keyboard has to know; its text is printed as it stands, without a traceback."""
