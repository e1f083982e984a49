#%%
import asyncio
import sys

async def run(*command):
    child = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    out, _ = await child.communicate()
    return child.returncode, out.decode().strip()

#%%
print(await run(sys.executable, "-c", "print(6 * 7)"))

#%%
print(await asyncio.gather(*(run("/bin/echo", str(n)) for n in range(3))))

#%%
child = await asyncio.create_subprocess_shell("for i in 1 2 3; do echo $i; sleep 0.02; done", stdout=asyncio.subprocess.PIPE)
async for line in child.stdout:
    print(line.decode().strip())
await child.wait()
