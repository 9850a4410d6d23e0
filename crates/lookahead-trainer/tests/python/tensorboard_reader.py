"""What TensorBoard itself reads: its two readers, on folders and on cut files.

    tensorboard_reader.py FOLDER…          the series of each folder as a line of JSON
    tensorboard_reader.py --cut FILE       reads the file cut at each record and around, and while it grows
    tensorboard_reader.py --replace A B    reads a folder in which B, a later file, replaces A
"""

import json
import os
import shutil
import sys
import tempfile

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from tensorboard.util import tensor_util

ALL = {"scalars": 0, "tensors": 0}


def series(accumulator):
    """Scalars by tag as [step, value, time], and texts by tag as [step, text]."""
    tags = accumulator.Tags()
    scalars = {tag: [[e.step, repr(e.value), e.wall_time] for e in accumulator.Scalars(tag)] for tag in tags["scalars"]}
    texts = {}
    for tag in tags["tensors"]:
        plugin = accumulator.SummaryMetadata(tag).plugin_data.plugin_name
        assert plugin == "text", (tag, plugin)
        texts[tag] = [
            [e.step, tensor_util.make_ndarray(e.tensor_proto).item().decode()] for e in accumulator.Tensors(tag)
        ]
    return {"scalars": scalars, "texts": texts}


def loaded(path):
    """The events of one file, in its order."""
    return [event.SerializeToString() for event in EventFileLoader(path).Load()]


def cut(path):
    whole = open(path, "rb").read()
    events = loaded(path)
    ends, at = [], 0
    while at < len(whole):
        at += 16 + int.from_bytes(whole[at : at + 8], "little")
        ends.append(at)
    assert at == len(whole) and len(ends) == len(events), (at, len(whole), len(ends), len(events))
    with tempfile.TemporaryDirectory() as folder:
        part = os.path.join(folder, "events.out.tfevents.1.lookahead")
        for count, end in enumerate(ends, 1):
            for size, expected in [(end, count), (end - 1, count - 1), (end - 9, count - 1)]:
                with open(part, "wb") as file:
                    file.write(whole[:size])
                assert loaded(part) == events[:expected], (size, expected)
        # One reader follows the file as it is written, in pieces that end anywhere.
        with open(part, "wb") as file:
            file.write(whole[:10])
            file.flush()
            reader, found = EventFileLoader(part), []
            for start in range(10, len(whole), 997):
                found += [event.SerializeToString() for event in reader.Load()]
                file.write(whole[start : start + 997])
                file.flush()
            found += [event.SerializeToString() for event in reader.Load()]
        assert found == events
    print(len(events))


def replace(first, second):
    with tempfile.TemporaryDirectory() as folder:
        old = shutil.copy(first, folder)
        accumulator = EventAccumulator(folder, ALL).Reload()
        shutil.copy(second, folder)
        os.truncate(old, 0)
        accumulator.Reload()
        print(json.dumps(series(accumulator)))


if sys.argv[1] == "--cut":
    cut(sys.argv[2])
elif sys.argv[1] == "--replace":
    replace(sys.argv[2], sys.argv[3])
else:
    for folder in sys.argv[1:]:
        print(json.dumps(series(EventAccumulator(folder, ALL).Reload())))
