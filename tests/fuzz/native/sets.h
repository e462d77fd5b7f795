/* What the two targets share: images that are loaded, sets of zones, and what is true of every response. */
#ifndef SETS_H
#define SETS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine.h"
#include "limiter.h"

enum { SEED = 4711, MOST_OCTETS = 1 << 20 };

/* Ends the process, so that the fuzzer keeps the input. */
static inline void require(int truth, const char *what) {
    if (truth)
        return;
    fprintf(stderr, "not so: %s\n", what);
    abort();
}

static inline void *allocated(size_t octets) {
    void *found = calloc(1, octets ? octets : 1);
    require(found != NULL, "there is memory");
    return found;
}

/* As module.c: 0 if the image is refused. */
static inline int load(struct image *image, const uint8_t *data, size_t octets) {
    if (image_load(image, data, octets))
        return 0;
    size_t slots = 2;
    while (slots < 2 * (size_t)image->nodes)
        slots *= 2;
    image->mask = (uint32_t)(slots - 1);
    image->slots = allocated(slots * sizeof *image->slots);
    image_index(image, SEED);
    return 1;
}

static inline struct zone_set *no_zones(uint32_t slots) {
    struct zone_set *zones = allocated(sizeof *zones + slots * sizeof zones->slots[0]);
    zones->seed = SEED;
    zones->mask = slots - 1;
    return zones;
}

static inline void publish(struct zone_set *zones, const struct image *apex_of, const struct image *found) {
    struct zone_slot *slot = zone_slot(zones, apex_of->apex, apex_of->apex_octets);
    if (!slot->hash) {
        require(2 * ++zones->taken <= zones->mask + 1, "there is room for the zone");
        slot->apex = allocated(apex_of->apex_octets);
        memcpy(slot->apex, apex_of->apex, apex_of->apex_octets);
        slot->apex_octets = apex_of->apex_octets;
        slot->hash = hash_name(zones->seed, slot->apex) | 1;
    }
    slot->image = found;
}

/* A buffer that ends where the limit is; it is kept. */
static inline uint8_t *buffer_of(size_t room, unsigned which) {
    static uint8_t *kept[MAX_RESPONSE_OCTETS + 1][2];
    if (!kept[room][which]) {
        kept[room][which] = allocated(room);
        memset(kept[room][which], which ? 0x55 : 0xAA, room);
    }
    return kept[room][which];
}

/* As a thread of the engine does it; `limited` is what the limiter said. */
static inline int ask_once(const struct zone_set *zones, const struct limits *limits, const struct client *client,
                           enum limited limited, struct job *job, const uint8_t *request, size_t octets, uint8_t *out,
                           size_t room) {
    begin(job, zones, client, request, octets);
    prepare(job);
    if (locate(job))
        job->limited = limited;
    return finish(job, limits, out, room);
}

/* Asks twice, with other octets in the buffer before: what is sent must be the same, so all of it was written. The
 * request ends where its memory ends. Returns the octets, or DECLINED, or DROPPED. */
static inline int ask(const struct zone_set *zones, const struct limits *limits, const struct client *client,
                      enum limited limited, const uint8_t *request, size_t octets) {
    size_t room = limits->tcp ? MAX_RESPONSE_OCTETS : limits->payload;
    uint8_t *exact = allocated(octets), *one = buffer_of(room, 0), *other = buffer_of(room, 1);
    struct job job;
    if (octets)
        memcpy(exact, request, octets);
    memset(&job, 0xA5, sizeof job);
    int length = ask_once(zones, limits, client, limited, &job, exact, octets, one, room);
    memset(&job, 0x5A, sizeof job);
    require(ask_once(zones, limits, client, limited, &job, exact, octets, other, room) == length,
            "the same length again");
    if (length >= 0) {
        size_t written = (size_t)length;
        require(written >= HEADER_OCTETS && written <= room, "no longer than the limit");
        require(!memcmp(one, other, written), "the same octets again");
        require(one[0] == exact[0] && one[1] == exact[1], "the same id");
        require(job.rcode < 24 && job.qtype <= NO_TYPE, "what is counted has a place");
        require(job.request.cookie.state <= COOKIE_INVALID, "the same is true of cookies");
        require(limited != LIMITED_DROPPED, "what is dropped is not sent");
        memset(one, 0xAA, written);
        memset(other, 0x55, written);
    } else
        require(length == DECLINED || length == DROPPED, "a response or none");
    free(exact);
    return length;
}

#endif
