"""The next version of streamlit-penguins: what a piece costs comes from a price service, asked in every session.

It passes every check as long as the service answers. Without the service a visitor sees the exception, while the server
goes on answering 200 on every path.
"""

from urllib.request import urlopen

import streamlit as st

VERSION = "v4"
PRICE = "http://prices/net"

st.set_page_config(page_title=f"Triple {VERSION}")
st.title(f"Triple {VERSION}")
st.caption("New: the price of today.")

n = st.number_input("n", value=7, step=1, key="n")
with urlopen(PRICE, timeout=2) as answer:
    price = int(answer.read())
st.text(f"total = {n * price} ({VERSION})")

uploaded = st.file_uploader("file", key="file")
if uploaded is not None:
    st.text(f"upload = {len(uploaded.getvalue())} bytes")
