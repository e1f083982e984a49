"""`awaitscope report --format html|markdown`: everything is there, nothing of a target is markup, no network is needed."""
import json
import re
import subprocess
from html.parser import HTMLParser

import pytest

from trace_maker import APP, MS, PROGRAM, Trace, cell_file

EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)> & \" ' ` | [a](http://x) \x01\x1b[31m \u202e **b**"
SOURCE = f"x = '''{EVIL}'''\n```\n# not a heading\nasync def fetch():\n    time.sleep(0.2)\nawait fetch()"


class Page(HTMLParser):
    """The tags of a page with their attributes, and its text by tag."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.open, self.text = [], [], {}
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.setdefault(self.open[-1] if self.open else "", []).append(data)


@pytest.fixture
def evil(tmp_path):
    t = Trace(tmp_path / "t.db", kernel=True)
    cell = t.cell(900, 2000, SOURCE)
    t.block(1000, 200, cell=cell, call=EVIL, frames=[(cell_file(SOURCE), 5, EVIL)])
    t.task(EVIL, cell, leaked="pending", place=(f"/home/u/{EVIL}.py", 6, "<module>"))
    t.sql.execute("UPDATE thread SET name = ?", (EVIL,))
    t.sql.execute("UPDATE meta SET value = ? WHERE key = 'notebook'", (f"/home/u/{EVIL.replace('/', '')}.ipynb",))
    t.sql.commit()
    return t.path


def report(form, *arguments):
    done = subprocess.run([PROGRAM, "report", "--format", form, *arguments], capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout.decode()


def test_html_is_one_page_of_its_own_tags(evil):
    page = Page(report("html", evil))
    assert not page.open and [tag for tag, _ in page.tags].count("script") == 2
    assert {tag for tag, _ in page.tags} <= {"html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "div", "table", "tr", "th",
                                             "td", "details", "summary", "pre", "script", "ul", "li"}
    assert not [key for _, attributes in page.tags for key in attributes if key in ("src", "href") or key.startswith("on")]
    assert {"AS101 blocking-sleep", "Leaked tasks", "Loops"} <= set(sum(page.text.values(), []))
    assert "alert(1)" in "".join(page.text["pre"]) and "time.sleep(0.2)" in "".join(page.text["pre"])
    data = json.loads(next(text for text in page.text["script"] if text.startswith("{")))
    assert [0.2 <= point[1] / 1000 < 0.21 for point in data["points"]] == [True] and data["cells"][0][0] == "In [1]" and data["stall"] == 100
    assert "\x1b" not in "".join(sum(page.text.values(), [])) and "\u202e" not in "".join(sum(page.text.values(), []))


def test_markdown_has_no_markup_of_a_target(evil):
    text = report("markdown", evil)
    fence = re.search(r"^(`{4,})python\n(.*?)\n\1$", text, re.M | re.S)
    assert fence and "alert(1)" in fence[2]
    outside = text.replace(fence[0], "")
    assert "<" not in outside and "\x1b" not in outside and "\u202e" not in outside and not re.search(r"(?<!\\)\]\(", outside) and " **b**" not in outside
    rows = [line for line in outside.split("\n") if line.startswith("|")]
    widths = [len(re.findall(r"(?<!\\)\|", row)) for row in rows]
    assert all(a == b or not rows[n + 1].startswith("|---") and rows[n].startswith("|---") or a != b and not rows[n].startswith("|---")
               for n, (a, b) in enumerate(zip(widths, widths[1:])))
    assert "AS101" in outside and not re.search(r"^# not", outside, re.M)


def waiting(path):
    """main waits for a child that the loop's other work delayed; all names are a target's own."""
    t = Trace(path)
    main, child = t.task(EVIL, name="main"), t.task(EVIL, name=EVIL, ended=400)
    t.wait(main, 0, 400, f"Task '{EVIL}'", stack=t.stack((APP, 4, EVIL)), woken_how="task", on_task=child, set_ns=400 * MS)
    t.wait(child, 0, 400, "asyncio.sleep", stack=t.stack((APP, 6, "child")), woken_how="timer", set_ns=250 * MS)
    t.block(251, 148, call=EVIL)
    t.sql.commit()
    return t.path


def test_long_waits_are_told_in_a_page_as_in_the_text(tmp_path):
    path = waiting(tmp_path / "t.db")
    page = Page(report("html", path))
    title, paths = "Long waits, and what they waited for in the end", "".join(page.text["p"])
    assert not page.open and title in page.text["h2"] and page.text["h2"].index(title) < page.text["h2"].index("Loops")
    assert [tag for tag, _ in page.tags].count("ul") == 2 and "waited 400 ms, from 0.000 s on" in paths
    assert "250 ms asyncio.sleep (/home/u/app.py:6)" in paths and "the loop was held by </script>" in paths
    text = report("markdown", path)
    assert f"\n## {title}\n\n**/home/u/app.py:4, in " in text and "\n- 400 ms Task '" in text and "\n  - 250 ms asyncio.sleep (/home/u/app.py:6)\n" in text
    outside = text[text.index(title):]
    assert "<" not in outside and "\x1b" not in outside and " **b**" not in outside and not re.search(r"(?<!\\)\]\(", outside)


@pytest.mark.parametrize("form", ["html", "markdown"])
def test_options(tmp_path, evil, form):
    assert "onerror" in report(form, evil) and "# not a heading" not in report(form, "--no-source", evil)
    assert len(report(form, "-q", evil)) < len(report(form, evil)) and "held the" in report(form, "-q", evil)
    file = tmp_path / "out"
    report(form, "-o", str(file), evil)
    assert file.read_text() == report(form, evil) and file.stat().st_mode & 0o777 == 0o600


def test_a_trace_without_anything_is_a_page_too(tmp_path):
    t = Trace(tmp_path / "t.db")
    for table in ("loop", "thread", "process", "coverage", "meta"):
        t.sql.execute(f"DELETE FROM {table}")
    t.sql.commit()
    assert not Page(report("html", t.path)).open and report("markdown", t.path).startswith("# awaitscope")


def test_a_long_recording_is_drawn_in_so_many_points_and_keeps_the_longest(tmp_path):
    t = Trace(tmp_path / "t.db")
    for n in range(20_000):
        t.iteration(3 * n, 2 if n != 7777 else 250)
    t.sql.commit()
    page = Page(report("html", t.path))
    points = json.loads(next(text for text in page.text["script"] if text.startswith("{")))["points"]
    assert 3000 < len(points) <= 4001 and max(point[1] for point in points) == 250


def test_words_are_explained_where_they_are_read(evil):
    words = Page(report("html", evil)).text["td"]
    told = subprocess.run([PROGRAM, "report", "--help"], capture_output=True, text=True).stdout
    assert "The words" not in report("markdown", evil)
    for word in ("held", "stall", "lag", "gil", "runq", "leaked task"):
        assert word in words and re.search(rf"^  {word} ", told, re.M), word
    assert "awaitscope report --help the words" in " ".join(report("text", evil).split())


def test_stalls_that_no_cell_tells_are_told_in_every_form(tmp_path):
    t = Trace(tmp_path / "t.db")
    t.iteration(1000, 250, gil=200)
    t.sql.commit()
    assert "## Stalls, longest first\n\n" in report("markdown", t.path) and "| 1.00 s | 250 ms |  | gil 200 ms | /home/u/app.py:7 crunch |  |" in report("markdown", t.path)
    assert "Stalls, longest first" in Page(report("html", t.path)).text["h2"]


@pytest.mark.parametrize("columns", [60, 80])
def test_a_log_is_as_wide_as_it_is_said_to_be(tmp_path, columns):
    t = Trace(tmp_path / "t.db", kernel=True)
    for n in range(3):
        t.block(1000 * n, 100 + 50 * n, cell=t.cell(1000 * n - 10, 1000 * n + 500, SOURCE + str(n)), frames=[("/home/u/a/long/way/down/to/the/module.py", 700 + n, "work")])
    t.sql.commit()
    text = subprocess.run([PROGRAM, "report", t.path], capture_output=True, text=True, env={"COLUMNS": str(columns)}).stdout
    assert max(len(line) for line in text.split("\n") if not line.startswith("Findings")) <= columns, text
    assert all(time in text for time in ("100 ms", "150 ms", "200 ms", "dule.py:702"))
