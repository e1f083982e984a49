#!/usr/bin/env python3
"""Write partition_streams.h: what the kernel told of loop threads of real programs, for partition_test to replay.

    partition_streams.py AWAITSCOPE > partition_streams.h

Runs acts of tests/accuracy under `awaitscope attach --tape` with AWAITSCOPE_STREAMS set; as root. Of each act the first events are kept:
what was told, how long after the event before it, its argument, and how much the scheduler's account had grown."""
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
EVENTS = 1200
ACTS = (("waits.py", "30 sleeps"), ("waits.py", "sqlite locked"), ("waits.py", "subprocess"), ("burns.py", "GIL hogs: 2"), ("burns.py", "collection"),
        ("burns.py", "CPU hogs"), ("faults.py", "cold"))
SELECT = 13  # enum part_class
KNOWS_THREAD, LOOKS_AT_CPU = (0, 1, 2, 3), (3, 4, 6)  # enum part_told


def events_of(awaitscope, program, only):
    with tempfile.TemporaryDirectory() as folder:
        tape = os.path.join(folder, "tape")
        child = subprocess.Popen(["/usr/bin/python3", os.path.join(HERE, "..", "accuracy", program), os.path.join(folder, "truth"), "--only", only,
                                  "--rounds", "4", "--wait"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        child.stdout.readline()
        watch = subprocess.Popen([awaitscope, "attach", "-o", os.path.join(folder, "t.db"), "--tape", tape, str(child.pid)], text=True,
                                 env=dict(os.environ, AWAITSCOPE_STREAMS="1"), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
        while "watching" not in watch.stderr.readline():
            pass
        child.communicate("begin\n")
        watch.communicate()
        with open(tape, encoding="utf-8") as f:
            lines = [line.split() for line in f if " kernel_part " in line]
    out = []
    for line in lines:
        fields = dict(x.split("=", 1) for x in line[3:] if "=" in x)
        if int(line[1]) == child.pid:
            out.append((int(line[0]),) + tuple(int(fields.get(k, 0)) for k in ("told", "argument", "ran_ns", "delayed_ns", "arrived", "clock", "stolen_ns")))
    return out


def main():
    print("/* By partition_streams.py: told, argument, ns since the last one; growth of the accounts. */")
    print("/* clang-format off */")
    for number, (program, only) in enumerate(ACTS):
        events = events_of(sys.argv[1], program, only)
        # from a wait in the selector on: there the account is exact
        begin = next(i for i in range(len(events)) if events[i][1:3] == (3, 0) and events[i - 1][1:3] == (0, SELECT))
        events = events[begin - 1:begin - 1 + EVENTS]
        print("static const struct event stream_%d[] = { /* %s, %s */" % (number, program, only))
        before = events[0]
        known, cpu = list(events[0][3:6]), [events[0][5], next(e[7] for e in events if e[1] in LOOKS_AT_CPU)]
        for e in events:
            now = list(e[3:6]) if e[1] in KNOWS_THREAD else known
            looked = list(e[6:]) if e[1] in LOOKS_AT_CPU else cpu
            print("\t{%d, %d, %d, %d, %d, %d, %d, %d}," % ((e[1], e[2], e[0] - before[0]) + tuple(
                a - b for a, b in zip(now + looked, known + cpu))))
            before, known, cpu = e, now, looked
        print("};")
    print("#define STREAMS(X) " + " ".join("X(stream_%d)" % i for i in range(len(ACTS))))


if __name__ == "__main__":
    main()
