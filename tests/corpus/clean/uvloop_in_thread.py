#%%
import asyncio
import uvloop

async def main():
    results = await asyncio.gather(*(asyncio.sleep(0.02, n) for n in range(5)))
    return sum(results)

def run():
    loop = uvloop.new_event_loop()
    try:
        return loop.run_until_complete(main())
    finally:
        loop.close()

#%%
print(await asyncio.to_thread(run))
