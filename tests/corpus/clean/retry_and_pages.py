#%%
import asyncio

attempts = 0

async def unreliable():
    global attempts
    await asyncio.sleep(0.005)
    attempts += 1
    if attempts < 3:
        raise ConnectionError(attempts)
    return attempts

async def retry(make, times=5):
    for n in range(times):
        try:
            return await make()
        except ConnectionError:
            await asyncio.sleep(0.01 * 2 ** n)
    raise TimeoutError

#%%
print(await retry(unreliable))

#%%
async def pages():
    token = 0
    while token is not None:
        await asyncio.sleep(0.005)
        yield range(token, token + 10)
        token = token + 10 if token < 30 else None

print([len(page) async for page in pages()])

#%%
results = []
task = asyncio.create_task(asyncio.sleep(0.01, "value"))
while not task.done():
    await asyncio.sleep(0.005)
task.result()
