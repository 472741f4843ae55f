"""Rows, the table, and the numbers in them: functions of their arguments alone."""
import re
import statistics
from typing import NamedTuple

# What can come out. Only FAILED makes the script fail.
OK, FAILED, MEASURED, NOT_RUN, NO_MEMORY = "ok", "FAILED", "measured", "not run", "out of memory"


class Row(NamedTuple):
    """A line of the table: what was compared, whether it held, our number, the peer's, ours over the peer's."""
    section: str
    case: str
    result: str
    ours: str = ""
    peer: str = ""
    ratio: str = ""
    note: str = ""


class Test(NamedTuple):
    """A test of libtest's output: of a panic the first line, of errors (error, tolerance, of what)."""
    name: str
    passed: bool
    message: str = ""
    errors: tuple = ()


def table(rows):
    """Markdown whose columns are aligned; a bar inside a cell is escaped."""
    cells = [[str(cell).replace("|", "\\|").replace("\n", " ") for cell in row] for row in rows]
    lines = [list(Row._fields), *cells]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    padded = [[cell.ljust(width) for cell, width in zip(line, widths)] for line in lines]
    text = ["| " + " | ".join(line) + " |" for line in padded]
    text.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(text)


def spread(numbers, digits=2):
    """The median with the lowest and the highest; a single number stands alone."""
    if not numbers:
        return ""
    middle = f"{statistics.median(numbers):.{digits}f}"
    return middle if len(numbers) == 1 else f"{middle} ({min(numbers):.{digits}f}..{max(numbers):.{digits}f})"


def relative_gap(ours, peer):
    """The largest |a - b| / |b| of two curves and the index where it is; of points that both have."""
    gaps = [abs(a - b) / max(abs(b), 1e-12) for a, b in zip(ours, peer)]
    # What is no number is no agreement, and would be lost in a maximum.
    gaps = [float("inf") if gap != gap else gap for gap in gaps]
    if not gaps:
        return float("inf"), 0
    return max(gaps), gaps.index(max(gaps))


def curve_row(section, case, ours, peer, tolerance, note=""):
    """Two curves of losses, held to the tolerance; they must have as many points."""
    gap, at = relative_gap(ours, peer)
    result = OK if len(ours) == len(peer) and gap <= tolerance else FAILED
    if len(ours) != len(peer):
        note = f"{len(ours)} points and {len(peer)}; {note}"
    last = [f"loss {curve[-1]:.5g}" if curve else "no loss" for curve in (ours, peer)]
    said = f"largest difference {gap:.1e} at point {at + 1} of {len(ours)}, {tolerance:.0e} allowed"
    return Row(section, case, result, last[0], last[1], "", "; ".join(filter(None, [said, note])))


TEST = re.compile(r"^test (\S+)(?: - should panic)? \.\.\. ?(.*)$")
ERROR = re.compile(r"^error (\S+) of (\S+): (.*)$")


def tests(text):
    """The tests in what libtest prints with --show-output. One that began and has no result took the process down."""
    verdicts, said, name = {}, {}, None
    for line in text.splitlines():
        begun = TEST.match(line)
        if begun and begun.group(2) != "ignored":
            verdicts[begun.group(1)] = begun.group(2).endswith("ok")
        heading = re.match(r"^---- (\S+) stdout ----$", line)
        if heading:
            name = heading.group(1)
        elif re.match(r"^(successes|failures):$|^test result", line):
            name = None
        elif name:
            said.setdefault(name, []).append(line)
    return [Test(name, passed, *told(said.get(name, []), passed)) for name, passed in verdicts.items()]


def told(lines, passed):
    """The first line of a panic's message, and the errors that a test has measured."""
    errors = tuple((float(m.group(1)), float(m.group(2)), m.group(3)) for m in map(ERROR.match, lines) if m)
    if passed:
        return "", errors
    for at, line in enumerate(lines):
        if " panicked at " in line:
            return next((line for line in lines[at + 1:] if line), line), errors
    return "no message: the process ended in it", errors


def tests_row(section, case, found):
    """One row for several tests: how many held, and the error that comes closest to what is allowed."""
    bad = [test for test in found if not test.passed]
    errors = [error for test in found for error in test.errors]
    note = "; ".join(f"{test.name}: {test.message}" for test in bad)
    if errors and not bad:
        error, tolerance, what = max(errors, key=lambda e: e[0] / e[1])
        note = f"largest error for its tolerance {error:.1e} of {tolerance:.0e} ({what})"
    ours = f"{len(found) - len(bad)} of {len(found)} hold"
    return Row(section, case, FAILED if bad else OK, ours, "", "", note)


def out_of_memory(text):
    """Whether an error says that the device's memory was too small."""
    return re.search(r"out.of.memory|memory allocation of \d+ bytes failed", text, re.IGNORECASE) is not None
