"""A client with Python's websockets: client.py URL. It sends messages of many
sizes and ends with an error unless each comes back, in order and compressed."""

import asyncio
import sys

import websockets


async def main():
    messages = []
    for size in [0, 1, 125, 126, 127, 65535, 65536, 1 << 20, 4 << 20]:
        messages += ["ä" * (size // 2), bytes([size & 0xFF]) * size]
    messages += [f"message {i}" for i in range(2000)]
    async with websockets.connect(
        sys.argv[1],
        subprotocols=["soap", "chat"],
        extra_headers={"Authorization": "Bearer alice-word"},
        max_size=32 << 20,
    ) as socket:
        assert socket.subprotocol == "chat", socket.subprotocol
        names = [extension.name for extension in socket.extensions]
        assert names == ["permessage-deflate"], names

        async def send():
            for message in messages:
                await socket.send(message)
            await socket.send(["frag", "ment", "ed"])

        sending = asyncio.create_task(send())
        for want in messages + ["fragmented"]:
            got = await socket.recv()
            assert got == want, f"got {got[:20]!r}, want {want[:20]!r}"
        await sending
        await (await socket.ping())
        await socket.close(4321, "done")
        assert socket.close_code == 4321, socket.close_code


asyncio.run(asyncio.wait_for(main(), 60))
