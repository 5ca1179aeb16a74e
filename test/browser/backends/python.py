"""An echo with Python's websockets, as an application has it that never heard
of Usher. What it saw it prints, a line of JSON each, and it ends when its input
does."""

import asyncio
import itertools
import json
import sys

import websockets

ids = itertools.count(1)


def tell(**event):
    print(json.dumps(event), flush=True)


async def echo(socket):
    number = next(ids)
    tell(event="open", id=number, path=socket.path, protocol=socket.subprotocol or "")
    try:
        async for message in socket:
            tell(event="message", id=number, text=message)
            await socket.send(message)
    except websockets.ConnectionClosed:
        pass  # The code says how.
    await socket.wait_closed()
    tell(event="close", id=number, code=socket.close_code)


async def main():
    async with websockets.serve(echo, "127.0.0.1", 0, subprotocols=["chat.v1"]) as server:
        tell(event="listening", port=server.sockets[0].getsockname()[1])
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


asyncio.run(main())
