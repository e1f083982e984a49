#%%
import asyncio

async def say_after(delay, what):
    await asyncio.sleep(delay)
    print(what)

#%%
await say_after(0.05, "hello")
await say_after(0.05, "world")

#%%
task1 = asyncio.create_task(say_after(0.05, "hello"))
task2 = asyncio.create_task(say_after(0.05, "world"))
await task1
await task2
