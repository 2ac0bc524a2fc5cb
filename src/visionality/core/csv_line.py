"""A line of a CSV file that people open in a spreadsheet: quoted as RFC 4180 says, and no text of it is a formula."""

import re

_FORMULA = re.compile(r"[-=+@\t\r\n＝＋－＠]")  # noqa: RUF001 -- as `guard` in chargeback.sql
_QUOTED = re.compile(r'[",\r\n]')


def guarded(text: str) -> str:
    """A text that a spreadsheet would take for a formula gets a leading apostrophe."""
    return f"'{text}" if _FORMULA.match(text) else text


def csv_line(*cells: str) -> bytes:
    """A line of CSV; the module `csv` would leave a lone carriage return unquoted."""
    quoted = ['"{}"'.format(cell.replace('"', '""')) if _QUOTED.search(cell) else cell for cell in cells]
    return (",".join(quoted) + "\n").encode()
