"""Three times a number, and the size of an uploaded file: a small healthy Streamlit app.

A person types a number and reads `total`; a test does the same over the app's websocket. The file under static/
is served by Streamlit itself at app/static/asset.txt, because .streamlit/config.toml says so.
"""

import streamlit as st

VERSION = "v1"

st.set_page_config(page_title=f"Triple {VERSION}")
st.title(f"Triple {VERSION}")

n = st.number_input("n", value=7, step=1, key="n")
st.text(f"total = {n * 3} ({VERSION})")

uploaded = st.file_uploader("file", key="file")
if uploaded is not None:
    st.text(f"upload = {len(uploaded.getvalue())} bytes")
