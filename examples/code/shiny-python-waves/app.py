"""Three times a number, and the size of an uploaded file: a small healthy Shiny for Python app.

A person types a number and reads `total`; a test does the same over the app's websocket. The file under www/
is served by Shiny itself at /asset.txt.
"""

from pathlib import Path

from shiny import App, Inputs, render, req, ui

VERSION = "v1"

app_ui = ui.page_fluid(
    ui.panel_title(f"Triple {VERSION}"),
    ui.input_numeric("n", "n", value=7, step=1),
    ui.output_text("total"),
    ui.input_file("file", "file"),
    ui.output_text("upload"),
)


def server(input: Inputs) -> None:  # noqa: A002 - Shiny's own name for it
    """One visitor's session."""

    @render.text
    def total() -> str:
        req(input.n() is not None)
        return f"total = {input.n() * 3} ({VERSION})"

    @render.text
    def upload() -> str:
        files = req(input.file())
        return f"upload = {files[0]['size']} bytes"


app = App(app_ui, server, static_assets=Path(__file__).parent / "www")
