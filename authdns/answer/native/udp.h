/* The UDP loop: one thread for each socket, which never waits for Python. */
#ifndef AUTHDNS_UDP_H
#define AUTHDNS_UDP_H

#include <pthread.h>
#include <sys/socket.h>

#include "engine.h"
#include "limiter.h"

enum {
    BATCH = 64,           /* datagrams for one system call */
    RECEIVE_OCTETS = 4096, /* no query is longer; what is cut off ends as FORMERR */
    CONTROL_OCTETS = 64,
    COUNTED_RCODES = 24,
    COUNTED_TYPES = 512, /* of types beyond, type 0 */
    SIZE_SHIFT = 6,      /* sizes are counted in steps of 64 octets */
    COUNTED_SIZES = (RECEIVE_OCTETS >> SIZE_SHIFT) + 1,

    /* What is handed to Python in front of a declined query. */
    HANDED_ADDRESS_OCTETS = 28, /* sockaddr_in6 */
    HANDED_CONTROL_OCTETS = 20, /* in6_pktinfo */
    HANDED_QUERY = 4 + HANDED_ADDRESS_OCTETS + HANDED_CONTROL_OCTETS /* behind the lengths of both, 16 bits each */
};

/* Only the thread writes them, whoever reads them may be a little late. */
struct counts {
    uint64_t answered[COUNTED_RCODES][COUNTED_TYPES + 1]; /* the last: there was no question */
    uint64_t sizes[COUNTED_SIZES];
    uint64_t dropped;  /* no answer by rule */
    uint64_t unsent;   /* the socket would not take it */
    uint64_t declined; /* handed to Python */
    uint64_t lost;     /* declined, but Python had too many already */
    uint64_t cookies[COOKIE_INVALID + 1];   /* by what came */
    uint64_t limited[LIMITED_LOGGED + 1];   /* by what became of it */
};

/* One source that was limited, for the log. Whoever reads it asks for the next one then. */
struct limited_source {
    int wanted; /* 0: `client` may be read, and nobody writes it */
    struct client client;
};

/* What is the same for all workers of an engine, and may be replaced while they work. */
struct shared {
    struct zone_set *zones;
    struct secrets *secrets; /* or NULL */
    struct limiter *limiter; /* or NULL */
};

struct batch;

struct worker {
    pthread_t thread;
    struct batch *batch;
    int socket;  /* blocking */
    int handed;  /* where declined queries go: keeps messages apart, and takes as many as its buffer holds */
    int wildcard; /* answers must say from which address */
    int running;
    uint64_t epoch; /* odd while it looks at what is shared */
    const struct shared *shared;
    struct limited_source limited;
    struct limits limits;
    uint8_t nsid[UINT8_MAX];
    struct counts counts;
};

/* Whether a query that will be answered is limited, and how; it is counted. */
enum limited limit(struct limiter *limiter, const struct client *client, const struct places *places, uint64_t now,
                   struct counts *counts);
/* As the worker does it with one request: the octets of the response, or DECLINED, or DROPPED. */
int answer_one(const struct shared *shared, const struct limits *limits, struct client *client, uint64_t now,
               struct counts *counts, const uint8_t *request, size_t octets, uint8_t *out, size_t room);

/* 0, or an error number. */
int worker_start(struct worker *worker);
void worker_stop(struct worker *worker);

#endif
