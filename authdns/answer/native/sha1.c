/* SHA-1 (FIPS 180-4) of short messages, for NSEC3 (RFC 5155 section 5), the one place of DNS that has no other hash. */
#include "engine.h"

#include <string.h>

enum { BLOCK_OCTETS = 64, DIGEST_OCTETS = 20, LENGTH_AT = 56 };

static uint32_t rotate(uint32_t value, unsigned bits) { return value << bits | value >> (32 - bits); }

static void block(uint32_t state[5], const uint8_t *at) {
    uint32_t words[80];
    for (unsigned i = 0; i < 16; i++)
        words[i] = net16(at + 4 * i) << 16 | net16(at + 4 * i + 2);
    for (unsigned i = 16; i < 80; i++)
        words[i] = rotate(words[i - 3] ^ words[i - 8] ^ words[i - 14] ^ words[i - 16], 1);
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
    for (unsigned i = 0; i < 80; i++) {
        uint32_t mixed, constant;
        if (i < 20) {
            mixed = (b & c) | (~b & d);
            constant = 0x5a827999;
        } else if (i < 40) {
            mixed = b ^ c ^ d;
            constant = 0x6ed9eba1;
        } else if (i < 60) {
            mixed = (b & c) | (b & d) | (c & d);
            constant = 0x8f1bbcdc;
        } else {
            mixed = b ^ c ^ d;
            constant = 0xca62c1d6;
        }
        uint32_t next = rotate(a, 5) + mixed + e + constant + words[i];
        e = d;
        d = c;
        c = rotate(b, 30);
        b = a;
        a = next;
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
}

/* Of the two parts together, at most MAX_NAME_OCTETS + 255 octets. */
static void sha1(const uint8_t *first, size_t first_octets, const uint8_t *second, size_t second_octets,
                 uint8_t digest[DIGEST_OCTETS]) {
    uint8_t message[9 * BLOCK_OCTETS];
    size_t octets = first_octets + second_octets;
    size_t blocks = (octets + 9 + BLOCK_OCTETS - 1) / BLOCK_OCTETS;
    uint32_t state[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
    memcpy(message, first, first_octets);
    memcpy(message + first_octets, second, second_octets);
    memset(message + octets, 0, blocks * BLOCK_OCTETS - octets);
    message[octets] = 0x80;
    put_net16(message + blocks * BLOCK_OCTETS - 2, (uint32_t)octets * 8);
    for (size_t i = 0; i < blocks; i++)
        block(state, message + i * BLOCK_OCTETS);
    for (unsigned i = 0; i < 5; i++) {
        put_net16(digest + 4 * i, state[i] >> 16);
        put_net16(digest + 4 * i + 2, state[i]);
    }
}

void nsec3_hash(const uint8_t *name, size_t octets, const uint8_t *salt, size_t salt_octets, unsigned iterations,
                uint8_t digest[DIGEST_OCTETS]) {
    sha1(name, octets, salt, salt_octets, digest);
    for (unsigned i = 0; i < iterations; i++)
        sha1(digest, DIGEST_OCTETS, salt, salt_octets, digest);
}
