#%%
import asyncio

async def slow():
    await asyncio.sleep(10)

#%%
try:
    await asyncio.wait_for(slow(), timeout=0.05)
except asyncio.TimeoutError:
    print("too slow")

#%%
try:
    async with asyncio.timeout(0.05):
        await slow()
except TimeoutError:
    print("too slow again")

#%%
done, pending = await asyncio.wait([asyncio.create_task(slow()), asyncio.create_task(asyncio.sleep(0.01))], timeout=0.05)
for task in pending:
    task.cancel()
await asyncio.gather(*pending, return_exceptions=True)
len(done), len(pending)
