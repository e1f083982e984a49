#%%
import asyncio
import contextlib

async def ticks(n):
    for i in range(n):
        await asyncio.sleep(0.005)
        yield i

#%%
print([i async for i in ticks(10) if i % 2])

#%%
async with contextlib.aclosing(ticks(100)) as numbers:
    async for i in numbers:
        if i == 3:
            break
print("stopped at", i)

#%%
class Countdown:
    def __init__(self, n):
        self.n = n

    def __aiter__(self):
        return self

    async def __anext__(self):
        if not self.n:
            raise StopAsyncIteration
        self.n -= 1
        await asyncio.sleep(0.002)
        return self.n

print([n async for n in Countdown(5)])
