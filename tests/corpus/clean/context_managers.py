#%%
import asyncio
from contextlib import asynccontextmanager, AsyncExitStack

class Connection:
    async def __aenter__(self):
        await asyncio.sleep(0.01)
        return self

    async def __aexit__(self, *exc):
        await asyncio.sleep(0.01)

    async def query(self, text):
        await asyncio.sleep(0.01)
        return text[::-1]

@asynccontextmanager
async def transaction(connection):
    print("begin")
    yield connection
    print("commit")

#%%
async with Connection() as connection, transaction(connection) as t:
    print(await t.query("select 1"))

#%%
async with AsyncExitStack() as stack:
    connections = [await stack.enter_async_context(Connection()) for _ in range(3)]
    print(await asyncio.gather(*(c.query("abc") for c in connections)))
