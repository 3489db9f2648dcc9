"""``python -m sreval`` is the command ``sreval``."""

from sreval.cli import main

main()
