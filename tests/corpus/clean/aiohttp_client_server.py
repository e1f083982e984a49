#%%
import asyncio
from aiohttp import ClientSession, ClientTimeout, web

async def page(request):
    await asyncio.sleep(0.02)
    return web.json_response({"page": request.match_info["n"]})

app = web.Application()
app.router.add_get("/page/{n}", page)
runner = web.AppRunner(app)
await runner.setup()
site = web.TCPSite(runner, "127.0.0.1", 0)
await site.start()
base = "http://127.0.0.1:%d" % site._server.sockets[0].getsockname()[1]

#%%
async def fetch(session, n):
    async with session.get(f"{base}/page/{n}") as answer:
        return (await answer.json())["page"]

async with ClientSession(timeout=ClientTimeout(total=5)) as session:
    pages = await asyncio.gather(*(fetch(session, n) for n in range(20)))
len(pages)

#%%
await runner.cleanup()
