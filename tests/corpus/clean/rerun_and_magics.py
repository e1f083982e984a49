#%%
import asyncio
import time

async def work(n):
    await asyncio.sleep(0.01)
    return n

#%%
%time sum(range(100_000))

#%%
%%time
total = 0
for n in range(100_000):
    total += n

#%%
started = time.perf_counter()
values = await asyncio.gather(*map(work, range(10)))
print(f"{time.perf_counter() - started:.3f} s")

#%%
get_ipython().run_cell("print('a cell in a cell')");
