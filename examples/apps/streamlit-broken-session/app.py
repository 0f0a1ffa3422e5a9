"""Broken on purpose: everything imports, and the first visitor's session raises while the page is drawn.

A real case: a column was renamed in the data and the app was not told.
"""

import streamlit as st

PRICES = {"net": 3, "gross": 4}


def price(column: str) -> int:
    """Look the price up, in euro per piece."""
    if column not in PRICES:
        message = f"column '{column}' is not in the price list; it has: {', '.join(PRICES)}"
        raise ValueError(message)
    return PRICES[column]


st.title("Triple v4")
n = st.number_input("n", value=7, step=1, key="n")
st.text(f"total = {n * price('price')} (v4)")
