"""Tables at the end of a run."""

from rich import box
from rich.table import Table


def new_table(title: str, name: str, *numbers: str) -> Table:
    """A table of a column of names and some of numbers."""
    table = Table(title=title, box=box.SIMPLE_HEAD, padding=0, collapse_padding=True)
    table.add_column(name, no_wrap=True)
    for column in numbers:
        table.add_column(column, no_wrap=True, justify="right")
    return table
