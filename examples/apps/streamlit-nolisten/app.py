"""Broken on purpose: the app is fine, but .streamlit/config.toml beside it moves the server to port 9000.

The process runs and the pod looks alive, while nobody answers on the port that was declared.
"""

import streamlit as st

st.title("Triple v5")
n = st.number_input("n", value=7, step=1, key="n")
st.text(f"total = {n * 3} (v5)")
