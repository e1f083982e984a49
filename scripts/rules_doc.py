#!/usr/bin/env python3
"""Writes docs/rules.md from viewer/rules.def, the one list of rules.

    scripts/rules_doc.py            rewrite
    scripts/rules_doc.py --check    exit status 1 if that would change anything"""
import ast
import re
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[1]
TABLE = TOP / "viewer/rules.def"
PAGE = TOP / "docs/rules.md"

RULE = re.compile(r"^(RULE(?:_UNCHECKED)?)\((\w+), (.*?)\)$(?=\n(?:RULE|\Z))", re.M | re.S)
TOKEN = re.compile(r'(?P<text>(?:"(?:[^"\\]|\\.)*"\s*)+)|(?P<comma>,)|(?P<word>[^",\s][^",]*)|\s+', re.S)
LITERAL = re.compile(r'"(?:[^"\\]|\\.)*"', re.S)
FAMILIES = {"AS1": "What holds the loop", "AS2": "Tasks and awaits", "AS3": "Loops", "AS4": "Waiting for shared things"}

HEAD = """# Rules

What `awaitscope report` and `awaitscope check` judge. `awaitscope rules` lists them, `awaitscope rules AS101` explains one. This page
is made from `viewer/rules.def` by `scripts/rules_doc.py`.

The severity given is that of certain evidence at full cost. Evidence that is not certain lowers it by one; AS101, AS102, AS105 to AS108
and AS112 are warnings while a site costs less than `--stall` in all; in a synchronous cell, which holds the loop by design, AS101 to
AS112 are notes. A call costs what it waited for; what it then waited for a CPU or for the GIL is told by AS111 and AS110. Only user code
is judged: what is neither standard library nor installed package nor a notebook's machinery. A rule whose evidence a trace does not hold
stands in the report as *not checked*.

"""


def fields(text):
    """The arguments of one RULE(): texts are joined and unescaped, words are as they stand."""
    found = [""]
    for match in TOKEN.finditer(text):
        if match["comma"]:
            found.append("")
        elif match["text"]:
            found[-1] += "".join(ast.literal_eval(part) for part in LITERAL.findall(match["text"]))
        elif match["word"]:
            found[-1] += match["word"].strip()
    return found


def rules():
    for match in RULE.finditer(TABLE.read_text(encoding="utf-8")):
        values = fields(match[3])
        unchecked = match[1] == "RULE_UNCHECKED"
        if unchecked:
            values.insert(4, "")
        keys = "name", "severity", "needs", "hooks", "check", "sentence", "advice", "cause", "example", "better"
        if len(values) != len(keys):
            sys.exit(f"{match[2]} has {len(values)} fields, not {len(keys)}")
        yield dict(zip(keys, values), id=match[2], unchecked=unchecked)


def sentence(text):
    return text[0].upper() + text[1:]


def section(rule):
    needs = "agent, cells" if "NEEDS_CELLS" in rule["needs"] else "agent"
    lines = [f"### {rule['id']} {rule['name']}\n", "\n",
             f"*{sentence(rule['severity'])}*, needs {needs}. Fires when: {rule['sentence']}.\n", "\n"]
    if rule["unchecked"]:
        lines += ["Not checked by this version, which does not record its evidence yet.\n", "\n"]
    lines += [rule["cause"] + "\n", "\n", "```python\n", rule["example"] + "\n", "```\n", "\n",
              rule["advice"] + "\n", "\n", "```python\n", rule["better"] + "\n", "```\n", "\n"]
    return lines


def page():
    lines, family = [HEAD, "| rule | name | severity |\n", "|---|---|---|\n"], None
    told = list(rules())
    lines += [f"| [{r['id']}](#{r['id'].lower()}-{r['name']}) | {r['name']} | {r['severity']} |\n" for r in told]
    for rule in told:
        if rule["id"][:3] != family:
            family = rule["id"][:3]
            lines += ["\n", f"## {FAMILIES[family]}\n", "\n"]
        lines += section(rule)
    return "".join(lines).rstrip("\n") + "\n"


def main():
    wanted = page()
    if sys.argv[1:] == ["--check"]:
        return not PAGE.exists() or PAGE.read_text(encoding="utf-8") != wanted
    if sys.argv[1:]:
        sys.exit(__doc__)
    PAGE.write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
