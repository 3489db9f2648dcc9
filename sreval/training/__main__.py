"""`python -m sreval.training NAME --data DIR`: the training command without the rest."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from sreval.errors import EXIT_INTERRUPTED, EXIT_OK, SrevalError
from sreval.training.log import ProgressLine
from sreval.training.recipe import parse_changes
from sreval.training.run import Request, resume_command, train


def main(arguments: list[str] | None = None) -> int:
    """Train as the arguments say; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m sreval.training", description=__doc__)
    parser.add_argument("name", help="a model's name, or the path of its folder")
    parser.add_argument("--data", type=Path, action="append", default=[], metavar="DIR")
    parser.add_argument("--out", type=Path, metavar="DIR")
    parser.add_argument("--profile", default="paper")
    parser.add_argument("--steps", type=int, metavar="N")
    parser.add_argument("--set", dest="changes", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", choices=["fp32", "bf16"])
    parser.add_argument("--from", dest="start", type=Path, metavar="PATH")
    parser.add_argument("--resume", action="store_true")
    given = parser.parse_args(arguments)
    line = ProgressLine()
    try:
        changes = parse_changes(given.changes)
        request = Request(**{**vars(given), "changes": changes})
        outcome = train(request, line)
    except SrevalError as error:
        line.say(str(error))
        return error.exit_code
    if outcome.signal is not None:
        line.say(f"Stopped after {outcome.step:,} updates; {outcome.checkpoint} is written.")
        line.say(f"To go on: {parser.prog} {resume_command(request, outcome.out)}")
        return EXIT_INTERRUPTED if outcome.signal == signal.SIGINT else 128 + outcome.signal
    print(outcome.weights)  # noqa: T201
    return EXIT_OK


if __name__ == "__main__":
    sys.exit(main())
