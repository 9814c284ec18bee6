"""A process that speaks the game's protocol, spelt out anew: a grey that counts actions, fish for d, the end for sd.

With an argument it crashes when the key is as."""

import struct
import sys

out = sys.stdout.buffer
out.write(b"unreel bigfish 1\n")
out.flush()
grey = 0
while len(request := sys.stdin.buffer.read(9)) == 9:
    kind, value = struct.unpack("<Bq", request)
    if kind == 1 and value == 7 and sys.argv[1:]:
        break  # a crash
    grey = value % 251 if kind == 0 else (grey + 1 + value) % 256
    ended = kind == 1 and value == 8
    out.write(struct.pack("<dB", float(kind == 1 and value == 4), ended) + bytes([grey]) * (64 * 64 * 3))
    out.flush()
