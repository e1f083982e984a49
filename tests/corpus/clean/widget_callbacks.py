#%%
import asyncio

class Slider:
    """As ipywidgets has them: handlers are called when a value comes from the page."""

    def __init__(self):
        self.value, self.handlers = 0, []

    def observe(self, handler):
        self.handlers.append(handler)

    def move(self, value):
        self.value = value
        for handler in self.handlers:
            handler({"new": value})

slider, seen = Slider(), []
slider.observe(lambda change: seen.append(change["new"]))

#%%
def wait_for_change(widget):
    future = asyncio.get_running_loop().create_future()

    def changed(change):
        if not future.done():
            future.set_result(change["new"])

    widget.observe(changed)
    return future

#%%
loop = asyncio.get_running_loop()
for n in range(5):
    loop.call_later(0.02 * (n + 1), slider.move, n)
print(await wait_for_change(slider))
await asyncio.sleep(0.15)
seen

#%%
progress = []

async def refresh():
    for n in range(5):
        progress.append(n)
        await asyncio.sleep(0.01)

refresher = asyncio.create_task(refresh())

#%%
await refresher
progress
