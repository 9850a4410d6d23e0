"""The order of training samples, from its definition, in plain Python.

Prints the values that the test `the_order_of_seed_0_is_fixed` in `src/data/batches.rs` holds:
Fisher and Yates's shuffle by numbers of ChaCha with 8 rounds (D. J. Bernstein, 2008), keyed by
seed, epoch, place and purpose.

    python3 crates/lookahead-trainer/tests/golden/order.py
"""

import struct

MASK = 0xFFFFFFFF


def quarter(s, a, b, c, d):
    def rotated(x, n):
        return ((x << n) | (x >> (32 - n))) & MASK

    s[a] = (s[a] + s[b]) & MASK
    s[d] = rotated(s[d] ^ s[a], 16)
    s[c] = (s[c] + s[d]) & MASK
    s[b] = rotated(s[b] ^ s[c], 12)
    s[a] = (s[a] + s[b]) & MASK
    s[d] = rotated(s[d] ^ s[a], 8)
    s[c] = (s[c] + s[d]) & MASK
    s[b] = rotated(s[b] ^ s[c], 7)


def words(key):
    """The 32-bit words of ChaCha8's stream for a key of 32 bytes, nonce and counter from 0."""
    counter = 0
    while True:
        start = [0x61707865, 0x3320646E, 0x79622D32, 0x6B206574]
        start += struct.unpack("<8I", key)
        start += [counter & MASK, counter >> 32, 0, 0]
        s = list(start)
        for _ in range(4):
            for column in range(4):
                quarter(s, column, column + 4, column + 8, column + 12)
            for row in range(4):
                quarter(s, row, 4 + (row + 1) % 4, 8 + (row + 2) % 4, 12 + (row + 3) % 4)
        yield from ((x + y) & MASK for x, y in zip(s, start))
        counter += 1


def order(count, seed, epoch):
    stream = words(struct.pack("<3Q", seed, epoch, 0) + b"shuffle ")
    shuffled = list(range(count))
    for i in reversed(range(1, count)):
        bound = i + 1
        while True:
            drawn = next(stream) | next(stream) << 32
            if drawn >= 2**64 % bound:
                break
        j = drawn % bound
        shuffled[i], shuffled[j] = shuffled[j], shuffled[i]
    return shuffled


for epoch in (0, 1):
    print(f"epoch {epoch}: {order(10, 0, epoch)}")
