#!/usr/bin/env python3
"""Rewrites the tables and views in docs/trace.md from collector/schema.sql, whose comments are their description.

    scripts/trace_doc.py            rewrite
    scripts/trace_doc.py --check    exit status 1 if that would change anything"""
import re
import sqlite3
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[1]
SCHEMA = TOP / "collector/schema.sql"
PAGE = TOP / "docs/trace.md"
BEGIN, END = "<!-- from schema.sql: begin -->\n", "<!-- from schema.sql: end -->\n"

TABLE = re.compile(r'^CREATE TABLE "?(\w+)"?\((?:\s*-- (.*))?$')
COLUMN = re.compile(r"^\s+(\w+ (?:TEXT|INTEGER|REAL|BLOB|ANY)\b[^-\n]*?),?(?:\s*-- (.*))?$")


def declared(text):
    """A column's or column list's (name, type, description) from its line."""
    match = COLUMN.match(text)
    if not match:
        return []
    columns, about = match.groups()
    told = []
    for column in re.split(r",\s+(?=\w+ (?:TEXT|INTEGER))", columns):
        name, kind = column.split()[:2]
        points_to = re.search(r"REFERENCES (\w+)", column)
        told.append((name, f"{kind}, of `{points_to[1]}`" if points_to else kind, about or ""))
    return told


def tables(schema):
    """[(name, description, [(column, type, description)])]; meta's description runs on through its lines."""
    found = []
    for line in schema.split("\n"):
        begin = TABLE.match(line)
        if begin:
            found.append([begin[1], begin[2] or "", []])
        elif found and line.startswith("\t") and not line.lstrip().startswith("PRIMARY KEY"):
            columns = declared(line)
            if found[-1][0] == "meta":
                found[-1][1] += " " + " ".join(c[2] for c in columns)
                columns = [(c[0], c[1], "") for c in columns]
            found[-1][2] += columns
        elif line.startswith("CREATE VIEW"):
            break
    return found


def views(schema):
    """[(name, [column])], as SQLite itself understands them."""
    sql = sqlite3.connect(":memory:")
    sql.executescript(schema)
    names = [row[0] for row in sql.execute("SELECT name FROM sqlite_schema WHERE type = 'view' ORDER BY rowid")]
    return [(name, [row[1] for row in sql.execute(f"PRAGMA table_info({name})")]) for name in names]


def made(schema):
    lines = ["## Views\n", "\n", "Durations in milliseconds, one row a thing, the worst first.\n", "\n",
             "| view | columns |\n", "|---|---|\n"]
    lines += [f"| `{name}` | {', '.join(f'`{c}`' for c in columns)} |\n" for name, columns in views(schema)]
    lines += ["\n", "## Tables\n"]
    for name, about, columns in tables(schema):
        lines += ["\n", f"### {name}\n", "\n"]
        lines += [about[0].upper() + about[1:] + ".\n", "\n"] if about else []
        lines += ["| column | type | |\n", "|---|---|---|\n"]
        lines += [f"| `{c}` | {kind} | {text.replace('|', chr(92) + '|')} |\n" for c, kind, text in columns]
    return "".join(lines)


def main():
    page = PAGE.read_text(encoding="utf-8")
    before, rest = page.split(BEGIN)
    after = rest.split(END)[1]
    wanted = before + BEGIN + "\n" + made(SCHEMA.read_text(encoding="utf-8")) + "\n" + END + after
    if sys.argv[1:] == ["--check"]:
        return wanted != page
    if sys.argv[1:]:
        sys.exit(__doc__)
    PAGE.write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
