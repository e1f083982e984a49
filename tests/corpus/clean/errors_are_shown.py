#%%
import asyncio

async def fails():
    await asyncio.sleep(0.01)
    raise KeyError("missing")

#%%
task = asyncio.create_task(fails())
try:
    await task
except KeyError as e:
    print("caught", e)

#%%
tasks = [asyncio.create_task(fails()) for _ in range(3)]
await asyncio.wait(tasks)
print([type(t.exception()).__name__ for t in tasks])

#%%
loop = asyncio.get_running_loop()
future = loop.create_future()
loop.call_later(0.01, future.set_exception, OSError("gone"))
try:
    await future
except OSError as e:
    print(e)
