"""Ratios with their interval, and how a page says them: shared by what bench.py measures."""
import os
import platform
import random
import statistics
import subprocess
import time

QUIET_LOAD = 0.5


def load_now():
    """CPUs that others keep busy, over a second; the load average would remember the measurement before this one."""
    def idle_s():
        with open("/proc/stat", encoding="ascii") as f:
            return sum(int(x) for x in f.readline().split()[4:6]) / os.sysconf("SC_CLK_TCK")
    before = idle_s()
    time.sleep(1)
    return max(0.0, (os.cpu_count() or 1) - (idle_s() - before))


def median_interval(values, rounds=4000):
    rng = random.Random(len(values))
    medians = sorted(statistics.median(rng.choices(values, k=len(values))) for _ in range(rounds))
    return statistics.median(values), medians[int(0.025 * rounds)], medians[int(0.975 * rounds) - 1]


def verdict(low, high, target):
    return "met" if high <= target else "missed" if low > target else "undecided"


def has_module(python, module):
    return module is None or subprocess.run([python, "-c", "import " + module], capture_output=True).returncode == 0


def python_version(python):
    return subprocess.run([python, "-c", "import platform; print(platform.python_version())"],
                          capture_output=True, text=True, check=True).stdout.strip()


def machine_line():
    model = "unknown CPU"
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as f:
            model = next((x.split(":", 1)[1].strip() for x in f if x.startswith("model name")), model)
    except OSError:
        pass
    return "%s, %d CPUs, Linux %s" % (model, os.cpu_count() or 0, platform.release())


def table(rows):
    return "\n".join("| " + " | ".join(r) + " |" for r in [rows[0], ("---",) * len(rows[0])] + rows[1:])


def footer(notes, load, date):
    """Paragraphs below a table: notes, whether the machine was busy, and which machine it was."""
    if load > QUIET_LOAD:
        notes = notes + ["**Taken beside other load** (%.2f at the start)." % load]
    return "\n\n".join(notes + ["%s; %s." % (machine_line(), date)]) + "\n"
