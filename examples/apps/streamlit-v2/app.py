"""The next version of streamlit-v1: the same app, with a new heading, a share of the total and a chart.

Everything that v1 answers, v2 answers too, with "v2" in its place: sessions of both can be told apart.
"""

import streamlit as st

VERSION = "v2"

st.set_page_config(page_title=f"Triple {VERSION}")
st.title(f"Triple {VERSION}")
st.caption("New: half of the total, and a chart.")

n = st.number_input("n", value=7, step=1, key="n")
st.text(f"total = {n * 3} ({VERSION})")
st.text(f"half = {n * 3 / 2}")
st.bar_chart({"n": [n], "total": [n * 3]})

uploaded = st.file_uploader("file", key="file")
if uploaded is not None:
    st.text(f"upload = {len(uploaded.getvalue())} bytes")
