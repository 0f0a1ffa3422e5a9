"""Broken on purpose: the import below names a package that is not in the image.

Streamlit runs the script once per visitor, not at start. So the server starts, answers 200 on every path, and each
visitor sees a ModuleNotFoundError: an HTTP check calls this app healthy.
"""

import jinja3  # a slip of the hand: the package is called jinja2
import streamlit as st

st.title("Triple v3")
n = st.number_input("n", value=7, step=1, key="n")
st.text(jinja3.Template("total = {{ n * 3 }} (v3)").render(n=n))
