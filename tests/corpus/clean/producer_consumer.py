#%%
import asyncio

queue = asyncio.Queue(maxsize=3)

async def producer(n):
    for i in range(n):
        await queue.put(i)
        await asyncio.sleep(0.002)
    await queue.put(None)

async def consumer():
    got = []
    while (item := await queue.get()) is not None:
        got.append(item * 2)
        await asyncio.sleep(0.003)
    return got

#%%
_, got = await asyncio.gather(producer(30), consumer())
print(sum(got))

#%%
async def worker(jobs, out):
    while True:
        n = await jobs.get()
        try:
            await asyncio.sleep(0.005)
            out.append(n)
        finally:
            jobs.task_done()

jobs, out = asyncio.Queue(), []
workers = [asyncio.create_task(worker(jobs, out)) for _ in range(4)]
for n in range(40):
    jobs.put_nowait(n)
await jobs.join()
for w in workers:
    w.cancel()
await asyncio.gather(*workers, return_exceptions=True)
sorted(out) == list(range(40))
