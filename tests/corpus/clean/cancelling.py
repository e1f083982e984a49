#%%
import asyncio
import contextlib

async def forever(log):
    try:
        while True:
            await asyncio.sleep(0.01)
            log.append("tick")
    finally:
        log.append("cleaned up")

#%%
log = []
task = asyncio.create_task(forever(log))
await asyncio.sleep(0.05)
task.cancel()
with contextlib.suppress(asyncio.CancelledError):
    await task
print(log[-1])

#%%
async def important():
    await asyncio.sleep(0.05)
    return "kept"

inner = asyncio.create_task(important())
try:
    await asyncio.wait_for(asyncio.shield(inner), 0.01)
except asyncio.TimeoutError:
    print(await inner)
