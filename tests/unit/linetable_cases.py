#!/usr/bin/env python3
"""Write linetable_cases.h: line tables of the interpreters given, and where they themselves say each instruction stands.

    linetable_cases.py PYTHON... > linetable_cases.h

Each interpreter compiles the same functions and reads its own tables (co_positions, co_lines, dis), so the C reader is
compared with CPython, not with another reading of its documentation."""
import subprocess
import sys

LONG = "x" * 300  # columns that need more than one byte

SOURCE = '''
def plain(a, b):
    """A docstring."""
    c = a + b

    return c * 2


def branches(n):
    total = 0
    for k in range(n):
        if k % 2:
            continue
        elif k > 10:
            break
        total += (
            k
            * k
        )
    else:
        total = -1
    return total


def handlers(path):
    try:
        with open(path) as f, open(path) as g:
            return f.read(
                10
            ) + g.read()
    except (OSError,
            ValueError) as e:
        raise RuntimeError(
            "no") from e
    finally:
        print("done")


async def waits(queue, lock):
    async with lock:
        async for item in queue:
            await item.get(timeout=3, name="%(long)s")
    return [x async for x in queue if await x]


def far(a):
    b = a
%(gap)s
    return (b +
%(gap)s
            a)


def nested():
    def inner(*args, **kwargs): return lambda: (args, kwargs)
    return {k: v for k, v in inner(
        1,
        a=2)()[1].items()}
'''


def source():
    return SOURCE.replace("%(long)s", LONG).replace("%(gap)s", "\n" * 300)


def codes(code):
    for c in code.co_consts:
        if hasattr(c, "co_code"):
            yield c
            yield from codes(c)


def places(code):
    """(offset in bytes, line, end line, column, end column) of each instruction; 0 and -1 where unknown."""
    units = len(code.co_code) // 2
    if sys.version_info >= (3, 11):
        for i, (line, end, col, end_col) in enumerate(code.co_positions()):
            yield 2 * i, line or 0, end or 0, -1 if col is None else col, -1 if end_col is None else end_col
    elif sys.version_info >= (3, 10):
        for begin, end, line in code.co_lines():
            for at in range(begin, end, 2):
                yield at, line or 0, 0, -1, -1
    else:
        import dis
        starts = dict(dis.findlinestarts(code))
        line = code.co_firstlineno
        for i in range(units):
            line = starts.get(2 * i, line)
            yield 2 * i, line, 0, -1, -1


def wrap(words):
    lines = [""]
    for word in words:
        if len(lines[-1]) + len(word) > 90:
            lines.append("")
        lines[-1] += word + ", "
    return "\n\t\t".join(line.rstrip() for line in lines).rstrip(",")


def dump():
    version = "%d.%d" % sys.version_info[:2]
    form = "LINE_TABLE311" if sys.version_info >= (3, 11) else "LINE_TABLE310" if sys.version_info >= (3, 10) else "LINE_LNOTAB"
    for code in codes(compile(source(), "cases.py", "exec")):
        table = code.co_linetable if sys.version_info >= (3, 10) else code.co_lnotab
        runs = []
        for at, *place in places(code):
            if runs and runs[-1][2] == place and runs[-1][1] == at:
                runs[-1][1] = at + 2
            else:
                runs.append([at, at + 2, place])
        print('LINETABLE("%s", "%s", %s, %d,' % (version, code.co_name, form, code.co_firstlineno))
        print("\tBYTES(%s)," % wrap("%d" % b for b in table))
        print("\tRUNS(%s))" % wrap("{%d, %d, {%d, %d, %d, %d}}" % (a, b, *p) for a, b, p in runs))


def main():
    if len(sys.argv) == 2 and sys.argv[1] == "--dump":
        return dump()
    print("/* Made by linetable_cases.py: line tables of CPython, and what CPython reads in them. */")
    for python in sys.argv[1:]:
        sys.stdout.write(subprocess.run([python, __file__, "--dump"], check=True, stdout=subprocess.PIPE, universal_newlines=True).stdout)


if __name__ == "__main__":
    main()
