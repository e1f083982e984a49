#!/usr/bin/env python3
"""Run notebooks that have no defect; none may give a warning or an error.

    check_clean.py AWAITSCOPE [FOLDER...] [--only NAME] [--keep DIR] [--sensor agent|auto] [--others]

Cell scripts and notebooks of the folders (default: clean beside this file). Notes may fire, and are counted, and so is AS111:
that the machine was busy is no defect of a notebook. --others: notebooks that are not ours, whose cells may fail, and some of
which cannot run here."""
import argparse
import collections
import glob
import json
import os
import subprocess
import sys
import tempfile
import time


def check(args, script, folder):
    """(problems, rules of the notes); problems None: it could not run."""
    name = os.path.splitext(os.path.basename(script))[0]
    trace = os.path.join(args.keep or folder, name + ".db")
    if os.path.exists(trace):
        os.unlink(trace)
    cells = ["--cells"] if script.endswith(".py") else []
    run = subprocess.run([args.awaitscope, "run", "-q", "-o", trace, *(["--sensor", args.sensor] if args.sensor else []),
                          "--kernel", "python3", "--timeout", "60", *(["--allow-errors"] if args.others else []), *cells, script],
                         cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
    if run.returncode and args.others:
        return None, []
    if run.returncode:
        return [f"ended with status {run.returncode}: {run.stderr.strip()[-300:]}"], []
    report = json.loads(subprocess.run([args.awaitscope, "report", "--format", "json", trace], check=True, capture_output=True).stdout)
    quiet = [f for f in report["findings"] if f["severity"] == "note" or f["rule"] == "AS111"]
    return [f["rule"] + ": " + f["message"] for f in report["findings"] if f not in quiet], [f["rule"] for f in quiet]


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("awaitscope")
    p.add_argument("folder", nargs="*", default=[os.path.join(os.path.dirname(os.path.abspath(__file__)), "clean")])
    p.add_argument("--only", metavar="NAME")
    p.add_argument("--keep", metavar="DIR")
    p.add_argument("--sensor", choices=("agent", "auto"))
    p.add_argument("--others", action="store_true")
    args = p.parse_args()
    args.awaitscope = os.path.abspath(args.awaitscope)
    if args.keep:
        args.keep = os.path.abspath(args.keep)
        os.makedirs(args.keep, exist_ok=True)
    scripts = [s for f in args.folder for kind in ("*.py", "*.ipynb") for s in sorted(glob.glob(os.path.join(os.path.abspath(f), kind)))]
    scripts = [s for s in scripts if not args.only or args.only in os.path.basename(s)]
    bad, left_out, fired, began = 0, 0, collections.Counter(), time.monotonic()
    for script in scripts:
        with tempfile.TemporaryDirectory(prefix="awaitscope-clean-") as folder:
            problems, notes = check(args, script, folder)
        fired.update(notes)
        bad += bool(problems)
        left_out += problems is None
        print("%-28s %s" % (os.path.basename(script), "could not run" if problems is None else "; ".join(problems) or "ok" + (" (" + ", ".join(notes) + ")" if notes else "")), flush=True)
    print(f"{len(scripts) - left_out} of {len(scripts)} run in {time.monotonic() - began:.0f} s, {bad} with findings; notes: {dict(fired) or 'none'}")
    return 1 if bad or not scripts else 0


if __name__ == "__main__":
    sys.exit(main())
