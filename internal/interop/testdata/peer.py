"""A peer for peers_test.go, which tells what its arguments are: Python's
websockets. The options are those of its permessage-deflate, in JSON."""

import asyncio
import json
import random
import sys

from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory, ServerPerMessageDeflateFactory

url, messages, seed, code, reason, options = sys.argv[1:]
messages, code = int(messages), int(code)
chance = random.Random(int(seed))


def say(**what):
    print(json.dumps(what), flush=True)


def settings(factory):
    """What both sides of the library are told."""
    told = {"ping_interval": None, "max_size": None}
    if options:
        told.update(compression=None, extensions=[factory(**json.loads(options))])
    return told


def agreed(ws):
    for e in ws.protocol.extensions:
        return {
            "SendContextTakeover": not e.local_no_context_takeover,
            "ReceiveContextTakeover": not e.remote_no_context_takeover,
            "SendWindowBits": e.local_max_window_bits,
            "ReceiveWindowBits": e.remote_max_window_bits,
        }


def pieces(data):
    """Data in two to five pieces that begin anywhere."""
    cuts = sorted(chance.randint(0, len(data)) for _ in range(chance.randint(1, 4)))
    return [data[a:b] for a, b in zip([0] + cuts, cuts + [len(data)])]


async def talk(ws):
    count, fragments, pongs = 0, 0, []
    try:
        while True:
            message = await ws.recv()
            count += 1
            if count == messages or chance.random() < 0.05:
                pongs.append(await ws.ping(f"{count}/".ljust(chance.randint(0, 125), ".")))
            if chance.random() < 0.2:
                text = isinstance(message, str)
                cut = pieces(message.encode() if text else message)
                fragments += len(cut)  # the library sends an empty one at the end
                await ws.send(cut, text=text)
            else:
                await ws.send(message)
            if count == messages and code:
                await pongs[-1]
                await ws.close(code, reason)
    except ConnectionClosed:
        pass
    say(
        messages=count,
        fragments=fragments,
        pings=len(pongs),
        pongs=sum(p.exception() is None for p in pongs),
        code=ws.close_code,
        reason=ws.close_reason,
        agreed=agreed(ws),
    )


async def main():
    if url:
        async with connect(url, proxy=None, **settings(ClientPerMessageDeflateFactory)) as ws:
            await talk(ws)
        return
    ended = asyncio.Event()

    async def handle(ws):
        await talk(ws)
        ended.set()

    async with serve(handle, "127.0.0.1", 0, **settings(ServerPerMessageDeflateFactory)) as server:
        say(address="%s:%d" % server.sockets[0].getsockname())
        await ended.wait()


asyncio.run(main())
