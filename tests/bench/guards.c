/* What the guards of the engine cost, in nanoseconds of CPU for each query: batches as in udp.c, the places of all sources
 * first. Sources: a few hundred that come again and again, or ever new ones, whose counters are in no cache. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine.h"
#include "limiter.h"

enum { QUERIES = 64, BATCHES = 20000, RUNS = 7, FEW = 256, STEP = 1000000 };

static struct limiter limiter = {
    .seed = 4711,
    .window = 125 * 1250000,
    .prefixes = {{{32, 1250000}, {24, 39062}, {20, 4882}, {18, 1627}},
                 {{128, 1250000}, {64, 625000}, {56, 416666}, {48, 312500}, {32, 19531}}},
    .known = {4, 5},
    .slip = 1,
};
static struct range loopback4 = {{127, 0, 0, 0}, {127, 255, 255, 255}};
static struct range loopback6 = {{[15] = 1}, {[15] = 1}};
static const struct secrets secrets = {.count = 1, .keys = {{1, 2, 3}}};
static struct client clients[QUERIES];
static struct places places[QUERIES];
static uint8_t asked[QUERIES][COOKIE_OCTETS];
static uint64_t sink;

static double cpu_nanoseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static void limit_batch(uint64_t now) {
    for (unsigned i = 0; i < QUERIES; i++)
        limiter_places(&limiter, &clients[i], &places[i]);
    for (unsigned i = 0; i < QUERIES; i++)
        sink += (uint64_t)limiter_is_over(&limiter, &clients[i], &places[i], now);
}

static void cookie_batch(size_t octets) {
    struct cookie cookie;
    for (unsigned i = 0; i < QUERIES; i++) {
        answer_cookie(&cookie, &secrets, &clients[i], asked[i], octets);
        sink += cookie.octets[COOKIE_OCTETS - 1];
    }
}

/* Everybody asks from another address, and with a cookie that is good for it. */
static void prepare_batch(unsigned address_octets, int few, uint64_t now) {
    for (unsigned i = 0; i < QUERIES; i++) {
        uint32_t number = few ? (uint32_t)rand() % FEW * 65536 : (uint32_t)rand();
        struct cookie cookie;
        clients[i] = (struct client){.address_octets = address_octets, .now = (uint32_t)(now / 1000000000)};
        memcpy(clients[i].address, &number, sizeof number);
        clients[i].address[0] |= 128;
        answer_cookie(&cookie, &secrets, &clients[i], clients[i].address, CLIENT_COOKIE_OCTETS);
        memcpy(asked[i], cookie.octets, COOKIE_OCTETS);
    }
}

static void measure(const char *name, unsigned address_octets, int few, size_t cookie_octets) {
    double best = 1e18;
    uint64_t now = 1795000000000000000u;
    for (unsigned run = 0; run < RUNS; run++) {
        double spent = 0;
        for (unsigned batch = 0; batch < BATCHES; batch++, now += STEP) {
            prepare_batch(address_octets, few, now);
            double begun = cpu_nanoseconds();
            if (cookie_octets)
                cookie_batch(cookie_octets);
            else
                limit_batch(now);
            spent += cpu_nanoseconds() - begun;
        }
        if (spent < best)
            best = spent;
    }
    printf("%6.1f ns  %s\n", best / BATCHES / QUERIES, name);
}

int main(void) {
    limiter.exempt[0] = &loopback4;
    limiter.exempt[1] = &loopback6;
    limiter.exempted[0] = limiter.exempted[1] = 1;
    measure("limit, IPv4, few sources", 4, 1, 0);
    measure("limit, IPv4, ever new sources", 4, 0, 0);
    measure("limit, IPv6, few sources", 16, 1, 0);
    measure("limit, IPv6, ever new sources", 16, 0, 0);
    measure("a client cookie", 4, 1, CLIENT_COOKIE_OCTETS);
    measure("a valid cookie (it is not limited)", 4, 1, COOKIE_OCTETS);
    return sink == 1;
}
