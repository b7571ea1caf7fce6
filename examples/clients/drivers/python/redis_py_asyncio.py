"""redis-py with asyncio, and valkey-py where LIBRARY says so."""

import asyncio
import importlib
import os

import told

module = importlib.import_module(os.environ["LIBRARY"] + ".asyncio.sentinel")


async def main():
    told.say(begin=True)
    master = module.Sentinel(told.SENTINELS, socket_timeout=1).master_for(told.GROUP, socket_timeout=1)
    number = 0
    while True:
        number += 1
        try:
            await master.set("redis-py-asyncio", number)
            told.say(ok=True)
        except Exception as error:
            told.failed(error)
        await asyncio.sleep(0.01)


asyncio.run(main())
