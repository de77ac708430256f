"""Make docs/demo.svg, the picture in the README, from a real run of ``usufruct demo``."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

WIDTH = 112
LINES = 60
TARGET = Path(__file__).resolve().parents[1] / "docs" / "demo.svg"


def main() -> None:
    """Run the demo in an empty folder and draw the beginning of what it prints."""
    with tempfile.TemporaryDirectory() as folder:
        shown = subprocess.run(
            [str(Path(sys.executable).with_name("usufruct")), "demo", "--keep", "study"],
            cwd=folder,
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, "FORCE_COLOR": "1", "COLUMNS": str(WIDTH)},
        ).stdout
    lines = ["$ usufruct demo --keep study", *shown.splitlines()[:LINES]]
    console = Console(record=True, width=WIDTH, file=io.StringIO())
    for line in lines:
        # Rich drops the spaces a line begins with, but not no-break ones
        indent = len(line) - len(line.lstrip(" "))
        console.print(Text.from_ansi("\u00a0" * indent + line[indent:]), soft_wrap=True)
    picture = console.export_svg(title="usufruct demo", theme=MONOKAI)
    # the picture must not fetch anything: fonts are whatever the reader has
    start, end = picture.index("@font-face"), picture.rindex("@font-face")
    end = picture.index("}", end) + 1
    TARGET.write_text(picture[:start] + picture[end:])


if __name__ == "__main__":
    main()
