"""An echo server with Python's websockets, as its documentation has it. It
selects the subprotocol chat, compresses, and prints its port."""

import asyncio
import sys

import websockets


async def echo(socket):
    if "Authorization" in socket.request_headers:
        await socket.close(1008, "the credential came this far")
        return
    async for message in socket:
        await socket.send(message)


async def main():
    async with websockets.serve(
        echo, "127.0.0.1", 0, subprotocols=["chat"], max_size=32 << 20
    ) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


asyncio.run(main())
