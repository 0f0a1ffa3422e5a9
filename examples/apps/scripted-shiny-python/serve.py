"""Shiny for Python, as `shiny run app.py` starts it, watched from its first moment."""

import breaks
from shiny import run_app

if __name__ == "__main__":
    breaks.watch()
    run_app("app:app", host="0.0.0.0", port=8000)  # noqa: S104 - in a pod
