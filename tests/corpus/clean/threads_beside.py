#%%
import asyncio
import concurrent.futures
import hashlib
import threading
import time

def read(n):
    time.sleep(0.05)
    return n * n

#%%
print(await asyncio.gather(*(asyncio.to_thread(read, n) for n in range(4))))

#%%
loop = asyncio.get_running_loop()
with concurrent.futures.ThreadPoolExecutor(4) as pool:
    print(await asyncio.gather(*(loop.run_in_executor(pool, read, n) for n in range(8))))

#%%
finished = asyncio.Event()

def beside():
    time.sleep(0.1)
    loop.call_soon_threadsafe(finished.set)

thread = threading.Thread(target=beside)
thread.start()
await finished.wait()
thread.join()

#%%
def main_of_thread():
    async def main():
        await asyncio.sleep(0.02)
        return threading.current_thread().name
    return asyncio.run(main())

await asyncio.to_thread(main_of_thread)
