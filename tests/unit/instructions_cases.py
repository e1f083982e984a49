#!/usr/bin/env python3
"""Write instructions_cases.h: the code of coroutines as the interpreters given compile them, with what is to be found in it.

    instructions_cases.py PYTHON... > instructions_cases.h

What each function holds stands in its docstring: the shared name that is stale when it is written, or nothing."""
import subprocess
import sys

SOURCE = '''
async def plain(value):
    """counter"""
    global counter
    seen = counter
    await value()
    counter = seen + 1

async def augmented(self, value):
    """self.total"""
    self.total += await value()

async def attribute(state, value):
    """state.inner.total"""
    before = state.inner.total
    await value()
    state.inner.total = before + 1

async def item(rows, value):
    """rows[...]"""
    seen = rows["n"]
    await value()
    rows["n"] = seen + 1

async def item_augmented(rows, key, value):
    """rows[...]"""
    rows[key] += await value()

async def through_locals(value):
    """counter"""
    global counter
    a, b = counter, 2
    c = a * b
    async for _ in value():
        pass
    counter = max(c, 1)

async def guarded(lock, value):
    """counter guarded"""
    global counter
    async with lock:
        seen = counter
        await value()
        counter = seen + 1

async def acquired(lock, value):
    """counter guarded"""
    global counter
    await lock.acquire()
    seen = counter
    await value()
    counter = seen + 1

def closure():
    total = 0
    async def inner(value):
        """total"""
        nonlocal total
        seen = total
        await value()
        total = seen + 1
    return inner

async def read_after(value):
    global counter
    await value()
    counter = counter + 1

async def read_again(value):
    global counter
    before = counter
    await value()
    counter = counter + before

async def other_name(value):
    global counter, other
    seen = counter
    await value()
    other = seen + 1

async def local(value):
    counter = 0
    seen = counter
    await value()
    counter = seen + 1
    return lambda: counter

async def overwritten(value):
    global counter
    seen = counter
    seen = await value()
    counter = seen

async def other_item(rows, value):
    seen = rows["a"]
    await value()
    rows["b"] = seen

async def cached(rows, key, value):
    if key not in rows:
        rows[key] = await value()
'''

PROGRAM = f'''
import opcode, sys, types
SOURCE = {SOURCE!r}
def functions(code):
    for c in code.co_consts:
        if isinstance(c, types.CodeType):
            yield c
            yield from functions(c)
def string(parts):
    return '"' + "".join(p + chr(92) + "0" * 3 for p in parts) + '"'
def wrapped(text):
    lines, line = [], ""
    for word in text.split(" "):
        if len(line) + len(word) > 96:
            lines.append(line)
            line = ""
        line += (" " if line else "") + word
    return ("\\n" + "\\t").join([*lines, line])
version = "3.%d" % sys.version_info[1]
ops = {{k: v for k, v in opcode.opmap.items() if v < 256}}
tag = version.replace(".", "_")
print("static const char names_%s[] =" % tag)
print("\\n".join('\\t"%s%s000"' % (k, chr(92)) for k in ops) + ";")
print("static const unsigned char numbers_%s[] = {{" % tag)
print("\\t" + wrapped(", ".join(map(str, ops.values()))) + "}};")
print("static const struct sample samples_%s[] = {{" % tag)
for c in functions(compile(SOURCE, "x", "exec")):
    if not c.co_flags & 0x80:
        continue
    new = sys.version_info >= (3, 11)
    names = list(c.co_varnames) + [n for n in c.co_cellvars if not new or n not in c.co_varnames] + list(c.co_freevars)
    expected = c.co_consts[0] if c.co_consts and isinstance(c.co_consts[0], str) and c.co_name != "<lambda>" else ""
    if expected.split(" ")[0] not in ("counter", "self.total", "state.inner.total", "rows[...]", "total"):
        expected = ""
    print('\\t{{"%s", "%s", NAMES(%s), NAMES(%s), %d, %d,' % (c.co_name, expected, string(c.co_names), string(names),
          0 if new else len(c.co_cellvars), 0 if new else len(c.co_freevars)))
    print("\\t\\tCODE(" + wrapped(", ".join(map(str, c.co_code))) + ")}},")
print("}};")
'''

if __name__ == "__main__":
    print("/* Made by instructions_cases.py: coroutines as each CPython compiles them. */")
    versions = []
    for command in sys.argv[1:]:
        out = subprocess.run([*command.split(), "-c", PROGRAM], check=True, capture_output=True, text=True).stdout
        versions.append(out.split("names_", 1)[1].split("[", 1)[0])
        print(out, end="")
    print("#define VERSIONS " + " ".join(f"VERSION({v})" for v in versions))
