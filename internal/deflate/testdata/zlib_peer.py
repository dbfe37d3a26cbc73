"""A peer for zlib_test.go: zlib, by way of Python's module.

A request is an operation, four small numbers and a payload; a reply is whether
it succeeded and a payload, which is the reason if it did not.

    I bits . . .                      a new decoder for a raw stream, of a window of 2^bits bytes
    i step . . .    message           decode a message, step bytes of output at a time
    D bits level memLevel strategy    a new encoder
    d . . . .       message           encode a message

zlib remembers 2^bits bytes, but what it produced in the same call may be referred
to as well, however far back. With a step of 1 the window is exact, therefore;
with a larger one it is too large by one less than that.
"""

import struct
import sys
import zlib

TAIL = b"\x00\x00\xff\xff"
PIECE = 16  # bytes of input for one call: what it has no room for is copied each time


def inflate(decoder, message, step):
    out = []
    message += TAIL
    for i in range(0, len(message), PIECE):
        produced = decoder.decompress(message[i : i + PIECE], step)
        while produced:
            out.append(produced)
            produced = decoder.decompress(decoder.unconsumed_tail, step)
        if decoder.unconsumed_tail or decoder.unused_data:
            raise zlib.error("input is left")
    return b"".join(out)


def deflate(encoder, message):
    out = encoder.compress(message) + encoder.flush(zlib.Z_SYNC_FLUSH)
    if not out.endswith(TAIL):
        raise zlib.error("no end of a flush")
    return out[:-4]


def serve(requests, replies):
    decoder = encoder = None
    header = struct.Struct(">cBBBBI")
    while True:
        head = requests.read(header.size)
        if not head:
            return
        op, a, b, c, d, size = header.unpack(head)
        payload = requests.read(size)
        ok, result = True, b""
        try:
            if op == b"I":
                decoder = zlib.decompressobj(wbits=-a)
            elif op == b"i":
                result = inflate(decoder, payload, a)
            elif op == b"D":
                encoder = zlib.compressobj(b, zlib.DEFLATED, -a, c, d)
            elif op == b"d":
                result = deflate(encoder, payload)
            else:
                raise ValueError("unknown operation")
        except (zlib.error, ValueError) as e:
            ok, result = False, str(e).encode()
        replies.write(struct.pack(">BI", ok, len(result)) + result)
        replies.flush()


serve(sys.stdin.buffer, sys.stdout.buffer)
