#%%
import asyncio
import contextlib

beats = 0

async def heartbeat():
    global beats
    while True:
        await asyncio.sleep(0.02)
        beats += 1

beat = asyncio.create_task(heartbeat())

#%%
await asyncio.sleep(0.1)
beats

#%%
sum(n * n for n in range(50_000))

#%%
beat.cancel()
with contextlib.suppress(asyncio.CancelledError):
    await beat
beats > 0
