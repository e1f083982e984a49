#%%
import asyncio
import contextvars
import itertools

request = contextvars.ContextVar("request", default="-")
numbers = itertools.count()

async def log(text):
    await asyncio.sleep(0.001)
    return f"{request.get()}: {text}"

async def handle(name):
    request.set(name)
    return await log("begin"), await log("end")

#%%
print(await asyncio.gather(*(handle(f"r{n}") for n in range(3))))

#%%
task = asyncio.create_task(handle("named"), name="the named one")
print(task.get_name(), await task)

#%%
def callback(done):
    print("done:", done.result())

task = asyncio.create_task(log("x"))
task.add_done_callback(callback)
await task
