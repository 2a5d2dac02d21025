"""Stretches of time as (start, end) in milliseconds, and what can be done with lists of them. Pure."""

from collections.abc import Iterable, Sequence

Range = tuple[int, int]


def merge(ranges: Iterable[Range]) -> list[Range]:
    """Sorted, without empty ones, touching and overlapping ones made one."""
    merged: list[Range] = []
    for start, end in sorted(ranges):
        if start >= end:
            continue
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged


def subtract(ranges: Iterable[Range], taken: Iterable[Range]) -> list[Range]:
    """What is left of `ranges` without `taken`."""
    left: list[Range] = []
    sorted_taken = sorted(taken)
    for start, end in ranges:
        current = start
        for taken_start, taken_end in sorted_taken:
            if taken_start >= end:
                break
            if taken_end <= current:
                continue
            if taken_start > current:
                left.append((current, taken_start))
            current = max(current, taken_end)
        if end > current:
            left.append((current, end))
    return left


def intersect(lists: Sequence[Sequence[Range]]) -> list[Range]:
    """What all lists have in common; each list is taken as sorted and free of overlaps, except a single one."""
    if not lists:
        return []
    common = sorted(lists[0])
    for other in lists[1:]:
        common = _intersect_two(common, sorted(other))
    return common


def _intersect_two(one: Sequence[Range], other: Sequence[Range]) -> list[Range]:
    found: list[Range] = []
    i = j = 0
    while i < len(one) and j < len(other):
        start, end = max(one[i][0], other[j][0]), min(one[i][1], other[j][1])
        if start < end:
            found.append((start, end))
        if one[i][1] <= other[j][1]:
            i += 1
        else:
            j += 1
    return found


def overlaps(one: Range, other: Range) -> bool:
    """Whether two stretches share time; touching ends do not."""
    return one[0] < other[1] and other[0] < one[1]


def covers(ranges: Iterable[Range], wanted: Range) -> bool:
    """Whether one of the ranges holds all of `wanted`."""
    return any(start <= wanted[0] and wanted[1] <= end for start, end in ranges)
