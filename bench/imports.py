"""What the base install weighs: CPU-seconds of the imports, and how many packages it brings.

    python bench/imports.py [--json]

Each import runs in a fresh interpreter, best of seven; the bare interpreter's own CPU is taken off.
"""

from __future__ import annotations

import json
import re
import resource
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution

RUNS = 7
IMPORTS = {
    "usufruct": "import usufruct",
    "usufruct.verify (what a verifier needs)": "import usufruct; usufruct.verify",
    "usufruct.learn": "import usufruct.learn; usufruct.learn.Federation",
    "the command line": "import usufruct.cli.app; usufruct.cli.app.build()",
}


def cpu(statement: str) -> float:
    """Return the least CPU-seconds of `statement` in a fresh interpreter."""
    best = float("inf")
    for _ in range(RUNS):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-c", statement], check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        best = min(best, spent)
    return best


def packages(name: str) -> set[str]:
    """Return every package that installing `name` brings, itself included."""
    found: set[str] = set()
    todo = [name]
    while todo:
        one = re.sub(r"[-_.]+", "-", todo.pop()).lower()
        if one in found:
            continue
        try:
            needed = distribution(one).requires or ()
        except PackageNotFoundError:
            continue  # a marker (another system, an older Python) keeps it out here
        found.add(one)
        names = (re.match(r"[A-Za-z0-9._-]+", line) for line in needed if "extra ==" not in line)
        todo += [match.group() for match in names if match]
    return found


def main() -> None:
    """Print the table."""
    bare = cpu("pass")
    result = {
        "cpu_seconds": {name: round(cpu(code) - bare, 3) for name, code in IMPORTS.items()},
        "base_packages": sorted(packages("usufruct")),
    }
    if "--json" in sys.argv:
        print(json.dumps(result, indent=2))
        return
    print(f"{'import':<42} CPU-s")
    for name, seconds in result["cpu_seconds"].items():  # type: ignore[union-attr]
        print(f"{name:<42} {seconds:.3f}")
    print(f"packages of the base install: {len(result['base_packages'])} (bar: < 20)")


if __name__ == "__main__":
    main()
