"""A tree on paper: with lines and colours on a terminal, as indented lines of plain text everywhere else."""

from rich.text import Text
from rich.tree import Tree

from dataapp_operator.cli.branches import Node

_COLOURS = {
    "strong": "bold",
    "good": "green",
    "bad": "red",
    "busy": "yellow",
    "faint": "dim",
    "link": "cyan",
}
_GAP = "  "


def plain(node: Node) -> str:
    """Lines of text, two spaces deeper for each branch; nothing in them that a terminal would obey."""
    return "\n".join(_lines(node, 0))


def coloured(node: Node) -> Tree:
    """What rich draws. Words are never read as markup: apps' own sentences have brackets, too."""
    tree = Tree(_text(node), guide_style="dim")
    for child in node.children:
        tree.children.append(coloured(child))
    return tree


def _lines(node: Node, depth: int) -> list[str]:
    mine = f"{'  ' * depth}{_GAP.join(span.text for span in node.spans)}"
    return [mine, *(line for child in node.children for line in _lines(child, depth + 1))]


def _text(node: Node) -> Text:
    parts: list[str | tuple[str, str]] = []
    for span in node.spans:
        if parts:
            parts.append(_GAP)
        parts.append((span.text, _COLOURS.get(span.role, "")))
    return Text.assemble(*parts)
