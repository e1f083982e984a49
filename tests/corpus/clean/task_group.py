#%%
import asyncio

async def step(name, seconds):
    await asyncio.sleep(seconds)
    return name

#%%
async with asyncio.TaskGroup() as group:
    tasks = [group.create_task(step(f"step {n}", n / 100)) for n in range(5)]
print([task.result() for task in tasks])

#%%
async def fails():
    await asyncio.sleep(0.02)
    raise RuntimeError("no such step")

try:
    async with asyncio.TaskGroup() as group:
        group.create_task(fails())
        group.create_task(step("cancelled with it", 5))
except* RuntimeError as caught:
    print(caught.exceptions)
