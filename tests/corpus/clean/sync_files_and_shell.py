#%%
import os
import pathlib
import sqlite3
import subprocess
import tempfile

folder = pathlib.Path(tempfile.mkdtemp())
for n in range(50):
    (folder / f"{n}.txt").write_text("x" * 10_000)
sum(len(p.read_text()) for p in folder.iterdir())

#%%
print(subprocess.run(["sleep", "0.2"]).returncode, os.system("true"))

#%%
connection = sqlite3.connect(folder / "t.db")
connection.execute("create table t(n)")
connection.executemany("insert into t values (?)", ((n,) for n in range(20_000)))
connection.commit()
print(connection.execute("select sum(n) from t").fetchone())
connection.close()
