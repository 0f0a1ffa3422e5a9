"""Streamlit, as `streamlit run app.py` starts it, watched from its first moment: a script runs only once somebody comes."""

import sys

import breaks
from streamlit.web import cli

if __name__ == "__main__":
    breaks.watch()
    sys.exit(cli.main(["run", "app.py"]))
