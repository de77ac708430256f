"""``python -m usufruct`` is the command ``usufruct``."""

from usufruct.cli import main

main()
