"""A program that records itself as a notebook does, from inside its running loop: what it prints is what the magic shows. argv: the
folder of the module, then the words to say."""
import asyncio
import os
import sys
import time

sys.path.append(sys.argv[1])


class Shell:
    """What the module asks of IPython's."""

    def register_magic_function(self, function, kind, name):
        self.magic = function


async def before():
    await asyncio.sleep(1000)


async def bad():
    time.sleep(0.15)


async def leak():
    await asyncio.sleep(1000)


async def start():
    asyncio.create_task(leak())


async def main():
    early = asyncio.create_task(before())
    await asyncio.sleep(0)
    import awaitscope
    shell = Shell()
    awaitscope.load_ipython_extension(shell)
    await asyncio.gather(bad(), asyncio.sleep(0.2))
    await asyncio.create_task(start())
    for word in sys.argv[2:]:
        shell.magic(word)
    early.cancel()
    try:
        os.wait()
    except ChildProcessError:
        print("no child of ours")


asyncio.run(main())
