"""Three times a number as a Streamlit app that breaks when it is told to (breaks.py says how).

A person types a number and reads `total`; a test does the same over the app's websocket. The report is a download that
belongs to the session, and the file under static/ is served by Streamlit itself at app/static/asset.txt.
"""

import breaks
import streamlit as st

st.set_page_config(page_title=f"Triple {breaks.VERSION}")
st.title(f"Triple {breaks.VERSION}")

if "prices" not in st.session_state:
    breaks.read_prices()
    st.session_state.prices = True

n = st.number_input("n", value=7, step=1, key="n")
total = breaks.total(n)
st.text(total)
st.download_button("report", f"report of {total}", file_name="report.txt", on_click="ignore")

uploaded = st.file_uploader("file", key="file")
if uploaded is not None:
    st.text(f"upload = {len(uploaded.getvalue())} bytes")
