#%%
import asyncio
import random

async def measure(sensor):
    await asyncio.sleep(random.random() / 20)
    return sensor, len(sensor)

#%%
results = dict(await asyncio.gather(*(measure(name) for name in ("north", "south", "east", "west"))))
results

#%%
async def flaky(n):
    await asyncio.sleep(0.01)
    if n % 3 == 0:
        raise ValueError(n)
    return n

values = await asyncio.gather(*(flaky(n) for n in range(6)), return_exceptions=True)
failures = [v for v in values if isinstance(v, Exception)]
print(len(failures), "failed:", failures)

#%%
for done in asyncio.as_completed([measure(name) for name in "abc"]):
    print(await done)
