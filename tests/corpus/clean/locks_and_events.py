#%%
import asyncio

lock, ready, limit = asyncio.Lock(), asyncio.Event(), asyncio.Semaphore(3)
total = 0

async def add(n):
    global total
    async with lock:
        seen = total
        await asyncio.sleep(0.001)
        total = seen + n

async def waiter(name):
    await ready.wait()
    return name

async def limited(n):
    async with limit:
        await asyncio.sleep(0.01)
    return n

#%%
await asyncio.gather(*(add(n) for n in range(20)))
print(total)

#%%
waiters = [asyncio.create_task(waiter(n)) for n in range(3)]
await asyncio.sleep(0.02)
ready.set()
print(await asyncio.gather(*waiters))

#%%
print(sum(await asyncio.gather(*(limited(n) for n in range(12)))))

#%%
condition, items = asyncio.Condition(), []

async def take():
    async with condition:
        await condition.wait_for(lambda: items)
        return items.pop()

async def give(item):
    async with condition:
        items.append(item)
        condition.notify()

print(await asyncio.gather(take(), give("x")))
