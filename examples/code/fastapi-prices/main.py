"""Three times a number, a price list, and the size of what was sent: a small healthy FastAPI app.

It keeps nothing between two requests, so that any copy of it can answer any of them.
"""

from pathlib import Path
from typing import Annotated

from fastapi import Body, FastAPI, HTTPException
from fastapi.staticfiles import StaticFiles

VERSION = "v1"
PRICES = {"net": 3, "gross": 4}

app = FastAPI(title="Prices", version=VERSION)
app.mount("/static", StaticFiles(directory=Path(__file__).parent / "static"))


@app.get("/")
def about() -> dict[str, str]:
    """Who answers here."""
    return {"app": "prices", "version": VERSION}


@app.get("/total")
def total(n: int = 7) -> dict[str, str]:
    """Three times a number."""
    return {"text": f"total = {n * 3} ({VERSION})"}


@app.get("/prices/{column}")
def price(column: str) -> dict[str, int]:
    """The price, in euro per piece."""
    if column not in PRICES:
        raise HTTPException(404, f"column '{column}' is not in the price list; it has: {', '.join(PRICES)}")
    return {column: PRICES[column]}


@app.post("/upload")
def upload(data: Annotated[bytes, Body(media_type="application/octet-stream")]) -> dict[str, str]:
    """How large the body of the request is."""
    return {"text": f"upload = {len(data)} bytes"}
