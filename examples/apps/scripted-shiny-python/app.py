"""Three times a number as a Shiny for Python app that breaks when it is told to (breaks.py says how).

A person types a number and reads `total`; a test does the same over the app's websocket. The report is a download that
belongs to the session, and the file under www/ is served by Shiny itself at /asset.txt.
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import breaks
from shiny import App, Inputs, Outputs, Session, reactive, render, req, ui

app_ui = ui.page_fluid(
    ui.panel_title(f"Triple {breaks.VERSION}"),
    ui.input_numeric("n", "n", value=7, step=1),
    ui.output_text("total"),
    ui.download_button("report", "report"),
    ui.input_file("file", "file"),
    ui.output_text("upload"),
)


def server(input: Inputs, output: Outputs, session: Session) -> None:  # noqa: A002, ARG001 - Shiny's own names
    """One visitor's session. A page that lost its connection begins another one, with the inputs as they are."""
    session.allow_reconnect("force")

    @reactive.calc
    async def prices() -> None:
        await asyncio.to_thread(breaks.read_prices)

    @render.text
    async def total() -> str:
        req(input.n() is not None)
        await prices()
        return breaks.total(input.n())

    @render.download_button(filename="report.txt")
    def report() -> Iterator[str]:
        yield f"report of {breaks.total(input.n())}"

    @render.text
    def upload() -> str:
        files = req(input.file())
        return f"upload = {files[0]['size']} bytes"


app = App(app_ui, server, static_assets=Path(__file__).parent / "www")
