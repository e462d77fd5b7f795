/* Response-rate limiting: what answer/limiter.py says, in C. One table for all threads. */
#ifndef AUTHDNS_LIMITER_H
#define AUTHDNS_LIMITER_H

#include "engine.h"

enum {
    LIMITER_BUCKETS = 1 << 15,
    BUCKET_ENTRIES = 8, /* a line of the cache */
    MAX_PREFIXES = 5,
    MAX_WINDOW_BITS = 47,
    TIME_SHIFT = 4 /* times are in units of 16 ns, of 48 bits: they come round in 52 days */
};

/* A source and all that shares its first `bits` may have a response every `interval`. */
struct prefix {
    unsigned bits;
    uint64_t interval;
};

/* Addresses from one to another. */
struct range {
    uint8_t first[16], last[16];
};

struct limiter {
    uint64_t seed;
    uint64_t window; /* how far ahead of now the responses may be */
    struct prefix prefixes[2][MAX_PREFIXES]; /* of IPv4 and of IPv6 */
    unsigned known[2];
    struct range *exempt[2]; /* sorted, apart from each other */
    unsigned exempted[2];
    unsigned slip; /* every so many limited queries one is answered with TC; 0: none */
    int log_only;
    /* 16 bits that tell prefixes apart, and 48 bits of time: the sum of what is ahead. Threads write it as they come; an
     * update that is lost is one response too many. A bucket that is full of busy prefixes forgets the least busy: with
     * some 200,000 of them, a source two of whose prefixes share a bucket may be limited by its others only. */
    _Alignas(64) uint64_t table[LIMITER_BUCKETS][BUCKET_ENTRIES];
};

/* Where a source's prefixes are. */
struct places {
    unsigned count; /* 0: it is exempt */
    uint32_t buckets[MAX_PREFIXES];
    uint16_t tags[MAX_PREFIXES];
};

/* Finds the places, and fetches them. */
void limiter_places(struct limiter *limiter, const struct client *client, struct places *places);
/* Whether a source has had too many responses at `now` (nanoseconds since 1970); if not, this one is charged to it. */
int limiter_is_over(struct limiter *limiter, const struct client *client, const struct places *places, uint64_t now);

#endif
