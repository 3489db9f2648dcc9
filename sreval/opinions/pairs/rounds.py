"""A round robin: every competitor meets every other once, in rounds."""

from __future__ import annotations


def round_robin(n: int) -> list[list[tuple[int, int]]]:
    """Rounds in which n competitors meet each other once, by turning a circle about a fixed one.

    Of an odd number one rests in each round. Two rounds in a row, and the last and the first, join
    all competitors in one chain: each is a step of the circle from the other.
    """
    size = n + n % 2
    rounds = []
    for turn in range(size - 1):
        circle = [(place + turn) % (size - 1) for place in range(size - 1)]
        ends = [(size - 1, circle[0])]
        ends += [(circle[k], circle[-k]) for k in range(1, size // 2)]
        rounds.append([pair for pair in ends if max(pair) < n])
    return rounds
