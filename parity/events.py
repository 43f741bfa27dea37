"""Reads a run's TensorBoard event file with the real tensorboard and compares it with metrics.jsonl.

    pip install tensorboard
    python parity/events.py RUN...

Every number of every row has to be there once, at its epoch, equal in single precision, and nothing else.
Exit code 1 if not.
"""

import json
import sys
from pathlib import Path

import numpy
from tensorboard.backend.event_processing import event_accumulator
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader


def numbers(row, prefix=""):
    """Names and numbers of a row, those of tables in it as TABLE/NAME."""
    for name, value in row.items():
        if isinstance(value, dict):
            yield from numbers(value, f"{prefix}{name}/")
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            if prefix + name != "epoch":
                yield prefix + name, value


def check(run):
    (path,) = run.glob("*tfevents*")
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    expected = {
        (name, row["epoch"]): numpy.float32(value) for row in rows for name, value in numbers(row)
    }
    # The loader checks every CRC and stops at the first record that is not whole.
    events = list(EventFileLoader(str(path)).Load())
    assert events[0].file_version == "brain.Event:2", events[0]
    assert [event.step for event in events[1:]] == [row["epoch"] for row in rows], "steps"
    times = [event.wall_time for event in events]
    assert times == sorted(times), "wall times"
    # As the program itself reads a folder of runs.
    accumulator = event_accumulator.EventAccumulator(str(run), {event_accumulator.SCALARS: 0})
    accumulator.Reload()
    found = {}
    for tag in accumulator.Tags()["scalars"]:
        for scalar in accumulator.Scalars(tag):
            assert (tag, scalar.step) not in found, f"{tag} is twice at {scalar.step}"
            found[tag, scalar.step] = numpy.float32(scalar.value)
    assert found == expected, set(found.items()) ^ set(expected.items())
    print(f"{run}: {len(rows)} epochs, {len(found)} numbers, all as in metrics.jsonl")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    try:
        for run in sys.argv[1:]:
            check(Path(run))
    except AssertionError as error:
        sys.exit(f"{run}: {error}")
