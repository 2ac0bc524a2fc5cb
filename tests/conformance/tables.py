"""Tables that are read in a terminal and in Markdown alike."""


def table(head: tuple[str, ...], lines: list[tuple[str, ...]], words: int) -> str:
    """Markdown; the first `words` columns are words, the others numbers."""
    widths = [max(map(len, column)) for column in zip(head, *lines, strict=True)]
    rule = tuple("-" * width if n < words else "-" * (width - 1) + ":" for n, width in enumerate(widths))
    shown = []
    for cells in (head, rule, *lines):
        padded = [
            cell.ljust(width) if n < words else cell.rjust(width)
            for n, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        shown.append(f"| {' | '.join(padded)} |")
    return "\n".join(shown)
