"""What docs/ci.md shows works as it stands there: the settings, and a notebook as a pytest test."""
import re
import sys

from conftest import PROGRAM, TOP, run_program

PAGE = (TOP / "docs/ci.md").read_text()


def block(language):
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.M | re.S)


def test_pytest_recipe(tmp_path, make_notebook, awaitscope):
    recipe, = [text for text in block("python") if "def test_" in text]
    (tmp_path / "test_notebooks.py").write_text(recipe)
    (tmp_path / "notebooks").mkdir()
    for name, call in (("clean", "await asyncio.sleep(0.2)"), ("held", "time.sleep(0.2)")):
        make_notebook(name, "import asyncio, time", f"async def step():\n    {call}\n\nawait step()").rename(
            tmp_path / f"notebooks/{name}.ipynb")
    ended = run_program([sys.executable, "-B", "-m", "pytest", "-v", "-p", "no:cacheprovider", "--basetemp=traces"], cwd=tmp_path,
                        env={"PATH": f"{PROGRAM.parent}:/usr/bin:/bin", "HOME": str(tmp_path)})
    assert ended.status == 1 and re.search(r"clean.ipynb\] PASSED", ended.out) and re.search(r"held.ipynb\] FAILED", ended.out), ended
    assert "AS101" in ended.out and "In [2]:2, in step" in ended.out

    settings, = block("toml")
    (tmp_path / "awaitscope.toml").write_text(settings)
    held = next(tmp_path.glob("traces/*held*/trace.db"))  # pytest adds a link to it
    held.rename(tmp_path / "main.db")
    ended = awaitscope("check", "main.db")
    assert "baseline: No change" in ended.out, ended
    if re.search("lag.p99=50ms: .*, set aside: the machine was starved", ended.out):  # by others: no limit of time is judged then
        assert ended.status == 0, ended
    else:
        assert ended.status == 1 and "lag.p99=50ms: " in ended.out, ended  # its limit alone
    ended = awaitscope("check", "--fail-on", "error", "main.db")
    assert ended.status == 0 and "0 new or worse findings" in ended.out, ended
