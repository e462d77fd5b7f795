/* Server cookies (RFC 7873, RFC 9018): what answer/cookies.py says, in C. */
#include "engine.h"

#include <string.h>

enum {
    VERSION = 1,
    HEAD_OCTETS = 8,         /* of a server cookie: version, reserved, timestamp */
    HASH_OCTETS = 8,
    OLDEST_SECONDS = 3600,   /* RFC 9018 section 4.3 */
    NEWEST_SECONDS = -300,   /* made in the future, by a server whose clock is ahead */
    RENEWED_SECONDS = 1800,
    ROUNDED_SECONDS = 60,    /* so that the same cookie is made again: Python remembers it */
    LEAST_WITH_SERVER_COOKIE = 16,
    MOST_WITH_SERVER_COOKIE = 40
};

static uint64_t rotate(uint64_t value, unsigned bits) { return value << bits | value >> (64 - bits); }

static uint64_t get64(const uint8_t *at) { return get32(at) | (uint64_t)get32(at + 4) << 32; }

/* SipHash's state. */
struct sip {
    uint64_t a, b, c, d;
};

static inline void sip_rounds(struct sip *sip, unsigned rounds) {
    uint64_t a = sip->a, b = sip->b, c = sip->c, d = sip->d;
    while (rounds-- > 0) {
        a += b;
        c += d;
        b = rotate(b, 13) ^ a;
        d = rotate(d, 16) ^ c;
        a = rotate(a, 32);
        c += b;
        a += d;
        b = rotate(b, 17) ^ c;
        d = rotate(d, 21) ^ a;
        c = rotate(c, 32);
    }
    *sip = (struct sip){a, b, c, d};
}

uint64_t siphash24(const uint8_t key[SECRET_OCTETS], const uint8_t *data, size_t octets) {
    uint64_t first = get64(key), second = get64(key + 8);
    struct sip sip = {first ^ 0x736f6d6570736575u, second ^ 0x646f72616e646f6du, first ^ 0x6c7967656e657261u,
                      second ^ 0x7465646279746573u};
    uint8_t last[8] = {0};
    size_t whole = octets & ~(size_t)7;
    memcpy(last, data + whole, octets - whole);
    last[7] = (uint8_t)octets;
    for (size_t at = 0; at <= whole; at += 8) {
        uint64_t word = get64(at < whole ? data + at : last);
        sip.d ^= word;
        sip_rounds(&sip, 2);
        sip.a ^= word;
    }
    sip.c ^= 0xff;
    sip_rounds(&sip, 4);
    return sip.a ^ sip.b ^ sip.c ^ sip.d;
}

/* The hash of a cookie whose client cookie and head are at `cookie`. */
static void put_hash(const uint8_t key[SECRET_OCTETS], const struct client *client, const uint8_t *cookie,
                     uint8_t out[HASH_OCTETS]) {
    uint8_t data[CLIENT_COOKIE_OCTETS + HEAD_OCTETS + sizeof client->address];
    memcpy(data, cookie, CLIENT_COOKIE_OCTETS + HEAD_OCTETS);
    memcpy(data + CLIENT_COOKIE_OCTETS + HEAD_OCTETS, client->address, sizeof client->address);
    uint64_t hash = siphash24(key, data, CLIENT_COOKIE_OCTETS + HEAD_OCTETS + client->address_octets);
    for (unsigned i = 0; i < HASH_OCTETS; i++)
        out[i] = (uint8_t)(hash >> 8 * i);
}

/* In the same time, wherever they differ. */
static int same(const uint8_t *one, const uint8_t *other) {
    unsigned difference = 0;
    for (unsigned i = 0; i < HASH_OCTETS; i++)
        difference |= one[i] ^ other[i];
    return !difference;
}

/* Any of the secrets may have made it. The reserved octets are hashed as they came (RFC 9018 section 4.2). */
static int is_valid(const struct secrets *secrets, const struct client *client, const uint8_t *cookie, int32_t age) {
    uint8_t hash[HASH_OCTETS];
    int found = 0;
    if (cookie[CLIENT_COOKIE_OCTETS] != VERSION || age > OLDEST_SECONDS || age < NEWEST_SECONDS)
        return 0;
    for (unsigned i = 0; i < secrets->count; i++) {
        put_hash(secrets->keys[i], client, cookie, hash);
        found |= same(hash, cookie + CLIENT_COOKIE_OCTETS + HEAD_OCTETS);
    }
    return found;
}

void answer_cookie(struct cookie *cookie, const struct secrets *secrets, const struct client *client,
                   const uint8_t *asked, size_t octets) {
    if (octets != CLIENT_COOKIE_OCTETS && (octets < LEAST_WITH_SERVER_COOKIE || octets > MOST_WITH_SERVER_COOKIE)) {
        cookie->state = COOKIE_MALFORMED;
        return;
    }
    cookie->state = octets == CLIENT_COOKIE_OCTETS ? COOKIE_NEW : COOKIE_INVALID;
    if (octets == COOKIE_OCTETS) {
        const uint8_t *made_at = asked + CLIENT_COOKIE_OCTETS + 4;
        int32_t age = (int32_t)(client->now - (net16(made_at) << 16 | net16(made_at + 2)));
        if (is_valid(secrets, client, asked, age)) {
            cookie->state = COOKIE_VALID;
            if (age <= RENEWED_SECONDS) {
                memcpy(cookie->octets, asked, COOKIE_OCTETS);
                return;
            }
        }
    }
    uint32_t now = client->now - client->now % ROUNDED_SECONDS;
    memcpy(cookie->octets, asked, CLIENT_COOKIE_OCTETS);
    uint8_t *head = cookie->octets + CLIENT_COOKIE_OCTETS;
    head[0] = VERSION;
    head[1] = head[2] = head[3] = 0;
    put_net16(head + 4, now >> 16);
    put_net16(head + 6, now);
    put_hash(secrets->keys[0], client, cookie->octets, head + HEAD_OCTETS);
}
