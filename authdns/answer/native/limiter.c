#include "limiter.h"

#include <string.h>

static const uint64_t TIME_MASK = ((uint64_t)1 << 48) - 1;

static uint64_t mix(uint64_t a, uint64_t b) {
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static unsigned family(const struct client *client) { return client->address_octets == 16; }

static int is_exempt(const struct limiter *limiter, const struct client *client) {
    const struct range *ranges = limiter->exempt[family(client)];
    unsigned low = 0, high = limiter->exempted[family(client)];
    while (low < high) {
        unsigned middle = (low + high) / 2;
        if (memcmp(client->address, ranges[middle].first, client->address_octets) < 0)
            high = middle;
        else if (memcmp(client->address, ranges[middle].last, client->address_octets) > 0)
            low = middle + 1;
        else
            return 1;
    }
    return 0;
}

static uint64_t half(const uint8_t *at, unsigned octets) {
    uint64_t value = 0;
    for (unsigned i = 0; i < octets; i++)
        value = value << 8 | at[i];
    return value << (64 - 8 * octets);
}

/* The first `bits` of 64. */
static uint64_t masked(uint64_t value, unsigned bits) {
    return bits >= 64 ? value : bits ? value & ~(~(uint64_t)0 >> bits) : 0;
}

void limiter_places(struct limiter *limiter, const struct client *client, struct places *places) {
    unsigned which = family(client);
    places->count = 0;
    if (is_exempt(limiter, client))
        return;
    uint64_t upper = half(client->address, which ? 8 : 4), lower = which ? half(client->address + 8, 8) : 0;
    for (unsigned i = 0; i < limiter->known[which]; i++) {
        unsigned bits = limiter->prefixes[which][i].bits;
        uint64_t hash = mix(masked(upper, bits) ^ limiter->seed, 0x9e3779b97f4a7c15u);
        hash = mix(hash ^ (bits > 64 ? masked(lower, bits - 64) : 0), 0xe7037ed1a0b428dbu ^ limiter->seed);
        hash = mix(hash ^ (bits << 1 | which), 0x8ebc6af09c88c6e3u);
        places->buckets[i] = (uint32_t)hash & (LIMITER_BUCKETS - 1);
        places->tags[i] = (uint16_t)(hash >> 48);
        __builtin_prefetch(limiter->table[places->buckets[i]], 1);
    }
    places->count = limiter->known[which];
}

/* How far ahead of `now`; what is further than the window is a time of another turn of the clock, and counts as none. */
static uint64_t ahead_of(uint64_t entry, uint64_t now, uint64_t window) {
    uint64_t ahead = (entry - now) & TIME_MASK;
    return ahead > window ? 0 : ahead;
}

/* The entry of a prefix and how far ahead it is; if there is none, the one that it may replace, which is the least far
 * ahead. */
static uint64_t *entry_of(uint64_t bucket[BUCKET_ENTRIES], uint16_t tag, uint64_t now, uint64_t window,
                          uint64_t *ahead, uint64_t *evicted) {
    uint64_t least = ~(uint64_t)0, *found = bucket;
    for (unsigned i = 0; i < BUCKET_ENTRIES; i++) {
        uint64_t entry = __atomic_load_n(&bucket[i], __ATOMIC_RELAXED), each = ahead_of(entry, now, window);
        if (entry >> 48 == tag) {
            *ahead = each;
            *evicted = 0;
            return &bucket[i];
        }
        if (each < least) {
            least = each;
            found = &bucket[i];
            *evicted = each ? entry : 0;
        }
    }
    *ahead = 0;
    return found;
}

int limiter_is_over(struct limiter *limiter, const struct client *client, const struct places *places, uint64_t now) {
    const struct prefix *prefixes = limiter->prefixes[family(client)];
    uint64_t *entries[MAX_PREFIXES], before[MAX_PREFIXES];
    now = now >> TIME_SHIFT & TIME_MASK;
    for (unsigned i = 0; i < places->count; i++) {
        uint64_t ahead, evicted = 0, tag = (uint64_t)places->tags[i] << 48;
        uint64_t *entry =
            entry_of(limiter->table[places->buckets[i]], places->tags[i], now, limiter->window, &ahead, &evicted);
        if (ahead + prefixes[i].interval > limiter->window) { /* nothing is charged to the others either */
            while (i-- > 0)
                __atomic_store_n(entries[i], before[i], __ATOMIC_RELAXED);
            return 1;
        }
        entries[i] = entry;
        before[i] = evicted ? evicted : tag | ((now + ahead) & TIME_MASK);
        __atomic_store_n(entry, tag | ((now + ahead + prefixes[i].interval) & TIME_MASK), __ATOMIC_RELAXED);
    }
    return 0;
}
