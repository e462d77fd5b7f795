#define _GNU_SOURCE
#include "udp.h"

#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>

enum {
    STRIDE = RECEIVE_OCTETS + 64 /* buffers a power of two apart would share the same few lines of the cache */
};

/* Memory of one thread. */
struct batch {
    struct mmsghdr received[BATCH], sent[BATCH];
    struct iovec in[BATCH], out[BATCH];
    struct sockaddr_in6 sources[BATCH];
    struct client clients[BATCH];
    struct job jobs[BATCH];
    struct places places[BATCH];
    _Alignas(struct cmsghdr) uint8_t controls[BATCH][CONTROL_OCTETS];
    uint8_t requests[BATCH][STRIDE];
    uint8_t responses[BATCH][STRIDE];
};

static void count(uint64_t *counter) {
    __atomic_store_n(counter, __atomic_load_n(counter, __ATOMIC_RELAXED) + 1, __ATOMIC_RELAXED);
}

static int has_port(const struct sockaddr_in6 *source) {
    if (source->sin6_family == AF_INET)
        return ((const struct sockaddr_in *)source)->sin_port != 0;
    return source->sin6_port != 0;
}

static void read_source(struct client *client, const struct sockaddr_in6 *source) {
    if (source->sin6_family == AF_INET) {
        memcpy(client->address, &((const struct sockaddr_in *)source)->sin_addr, 4);
        client->address_octets = 4;
    } else { /* the sockets are of one family each, so nothing is mapped */
        memcpy(client->address, &source->sin6_addr, 16);
        client->address_octets = 16;
    }
}

/* Nanoseconds since 1970; as exact as the timer of the kernel. */
static uint64_t wall_clock(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* IP_PKTINFO or IPV6_PKTINFO of a message, or NULL. */
static struct cmsghdr *packet_info(struct msghdr *message) {
    for (struct cmsghdr *each = CMSG_FIRSTHDR(message); each; each = CMSG_NXTHDR(message, each))
        if ((each->cmsg_level == IPPROTO_IP && each->cmsg_type == IP_PKTINFO) ||
            (each->cmsg_level == IPPROTO_IPV6 && each->cmsg_type == IPV6_PKTINFO))
            return each;
    return NULL;
}

/* Makes of what arrived with a message what must be sent with its answer: from the address that was asked; the kernel
 * chooses the interface, but for link-local addresses, which mean nothing without theirs. */
static void answer_from_there(struct msghdr *message) {
    struct cmsghdr *info = packet_info(message);
    if (!info) {
        message->msg_control = NULL;
        message->msg_controllen = 0;
        return;
    }
    if (info->cmsg_level == IPPROTO_IP) {
        struct in_pktinfo *packet = (struct in_pktinfo *)(void *)CMSG_DATA(info);
        packet->ipi_ifindex = 0;
        packet->ipi_addr.s_addr = 0;
        message->msg_controllen = CMSG_SPACE(sizeof *packet);
    } else {
        struct in6_pktinfo *packet = (struct in6_pktinfo *)(void *)CMSG_DATA(info);
        if (!IN6_IS_ADDR_LINKLOCAL(&packet->ipi6_addr))
            packet->ipi6_ifindex = 0;
        message->msg_controllen = CMSG_SPACE(sizeof *packet);
    }
    message->msg_control = info;
}

/* Hands a query to Python, with all that it needs to answer; if it has too many already, the query is lost. */
static void hand_over(struct worker *worker, struct msghdr *message, const uint8_t *request, size_t octets) {
    uint8_t head[HANDED_QUERY] = {0};
    struct cmsghdr *info = packet_info(message);
    size_t control = info ? (size_t)info->cmsg_len - CMSG_LEN(0) : 0;
    if (control > HANDED_CONTROL_OCTETS)
        control = 0;
    put_net16(head, message->msg_namelen);
    put_net16(head + 2, (uint32_t)control);
    memcpy(head + 4, message->msg_name, message->msg_namelen);
    if (control)
        memcpy(head + 4 + HANDED_ADDRESS_OCTETS, CMSG_DATA(info), control);
    struct iovec parts[2] = {{head, sizeof head}, {(void *)request, octets}};
    struct msghdr handed = {.msg_iov = parts, .msg_iovlen = 2};
    if (sendmsg(worker->handed, &handed, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        count(&worker->counts.lost);
    else
        count(&worker->counts.declined);
}

static void send_all(struct worker *worker, struct batch *batch, unsigned ready) {
    unsigned done = 0;
    while (done < ready) {
        int sent = sendmmsg(worker->socket, batch->sent + done, ready - done, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent > 0)
            done += (unsigned)sent;
        else if (sent < 0 && errno == EINTR)
            continue;
        else { /* the first one cannot be sent; the others perhaps */
            count(&worker->counts.unsent);
            done++;
        }
    }
}

static unsigned counted_type(uint32_t qtype) {
    return qtype == NO_TYPE ? COUNTED_TYPES : qtype < COUNTED_TYPES ? qtype : 0;
}

enum limited limit(struct limiter *limiter, const struct client *client, const struct places *places, uint64_t now,
                   struct counts *counts) {
    enum limited found;
    if (!limiter_is_over(limiter, client, places, now))
        return WITHIN;
    if (limiter->log_only)
        found = LIMITED_LOGGED;
    else {
        uint64_t before = counts->limited[LIMITED_TRUNCATED] + counts->limited[LIMITED_DROPPED];
        found = limiter->slip && (before + 1) % limiter->slip == 0 ? LIMITED_TRUNCATED : LIMITED_DROPPED;
    }
    count(&counts->limited[found]);
    return found;
}

int answer_one(const struct shared *shared, const struct limits *limits, struct client *client, uint64_t now,
               struct counts *counts, const uint8_t *request, size_t octets, uint8_t *out, size_t room) {
    struct job job;
    struct places places;
    client->secrets = shared->secrets;
    client->now = (uint32_t)(now / 1000000000u);
    begin(&job, shared->zones, client, request, octets);
    if (locate(&job)) {
        count(&counts->cookies[job.request.cookie.state]);
        if (shared->limiter && !limits->tcp && job.request.cookie.state != COOKIE_VALID) {
            limiter_places(shared->limiter, client, &places);
            job.limited = limit(shared->limiter, client, &places, now, counts);
        }
    }
    return finish(&job, limits, out, room);
}

static void remember_source(struct limited_source *limited, const struct client *client) {
    if (__atomic_load_n(&limited->wanted, __ATOMIC_ACQUIRE)) {
        limited->client = *client;
        __atomic_store_n(&limited->wanted, 0, __ATOMIC_RELEASE);
    }
}

/* Reads all requests of a batch and begins to fetch what they need; then goes through them again. */
static void begin_all(const struct shared *shared, struct limiter *limiter, struct batch *batch, unsigned received,
                      uint64_t now) {
    const struct zone_set *zones = __atomic_load_n(&shared->zones, __ATOMIC_ACQUIRE);
    const struct secrets *secrets = __atomic_load_n(&shared->secrets, __ATOMIC_ACQUIRE);
    for (unsigned i = 0; i < received; i++) {
        struct client *client = &batch->clients[i];
        struct job *job = &batch->jobs[i];
        client->now = (uint32_t)(now / 1000000000u);
        client->secrets = secrets;
        read_source(client, &batch->sources[i]);
        begin(job, zones, client, batch->requests[i], batch->received[i].msg_len);
        batch->places[i].count = 0;
        if (limiter && job->step >= REFUSE && job->request.cookie.state != COOKIE_VALID)
            limiter_places(limiter, client, &batch->places[i]);
    }
    for (unsigned i = 0; i < received; i++)
        prepare(&batch->jobs[i]);
    for (unsigned i = 0; i < received; i++)
        locate(&batch->jobs[i]);
}

static void respond_to_all(struct worker *worker, struct batch *batch, unsigned received) {
    unsigned ready = 0;
    struct counts *counts = &worker->counts;
    uint64_t now = wall_clock();
    __atomic_store_n(&worker->epoch, worker->epoch + 1, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_SEQ_CST); /* whoever replaces something later sees that we are looking */
    struct limiter *limiter = __atomic_load_n(&worker->shared->limiter, __ATOMIC_ACQUIRE);
    begin_all(worker->shared, limiter, batch, received, now);
    for (unsigned i = 0; i < received; i++) {
        struct msghdr *message = &batch->received[i].msg_hdr;
        struct job *job = &batch->jobs[i];
        if (!has_port(&batch->sources[i])) { /* forged, to make two servers talk to each other */
            count(&counts->dropped);
            continue;
        }
        if (job->step >= REFUSE) {
            count(&counts->cookies[job->request.cookie.state]);
            if (batch->places[i].count) {
                job->limited = limit(limiter, &batch->clients[i], &batch->places[i], now, counts);
                if (job->limited != WITHIN)
                    remember_source(&worker->limited, &batch->clients[i]);
            }
        }
        int length = finish(job, &worker->limits, batch->responses[ready], RECEIVE_OCTETS);
        if (length == DROPPED)
            count(&counts->dropped);
        else if (length == DECLINED)
            hand_over(worker, message, batch->requests[i], batch->received[i].msg_len);
        else {
            struct mmsghdr *out = &batch->sent[ready];
            batch->out[ready].iov_len = (size_t)length;
            out->msg_hdr.msg_name = message->msg_name;
            out->msg_hdr.msg_namelen = message->msg_namelen;
            if (worker->wildcard) {
                answer_from_there(message);
                out->msg_hdr.msg_control = message->msg_control;
                out->msg_hdr.msg_controllen = message->msg_controllen;
            }
            count(&counts->answered[job->rcode][counted_type(job->qtype)]);
            count(&counts->sizes[length >> SIZE_SHIFT]);
            ready++;
        }
    }
    __atomic_store_n(&worker->epoch, worker->epoch + 1, __ATOMIC_RELEASE);
    send_all(worker, batch, ready);
}

/* Makes the first so many places ready to receive into. */
static void clear(struct batch *batch, unsigned places, int wildcard) {
    for (unsigned i = 0; i < places; i++) {
        struct msghdr *message = &batch->received[i].msg_hdr;
        message->msg_namelen = sizeof batch->sources[i];
        message->msg_control = wildcard ? batch->controls[i] : NULL;
        message->msg_controllen = wildcard ? CONTROL_OCTETS : 0;
    }
}

static void *serve(void *argument) {
    struct worker *worker = argument;
    struct batch *batch = worker->batch;
    clear(batch, BATCH, worker->wildcard);
    while (__atomic_load_n(&worker->running, __ATOMIC_ACQUIRE)) {
        int received = recvmmsg(worker->socket, batch->received, BATCH, MSG_WAITFORONE, NULL);
        if (received <= 0)
            continue; /* an ICMP error about an earlier answer, or the end */
        respond_to_all(worker, batch, (unsigned)received);
        clear(batch, (unsigned)received, worker->wildcard);
    }
    return NULL;
}

int worker_start(struct worker *worker) {
    sigset_t all, before;
    struct batch *batch = worker->batch = calloc(1, sizeof *batch);
    if (!batch)
        return ENOMEM;
    for (unsigned i = 0; i < BATCH; i++) {
        batch->in[i] = (struct iovec){batch->requests[i], RECEIVE_OCTETS};
        batch->out[i] = (struct iovec){batch->responses[i], 0};
        batch->received[i].msg_hdr =
            (struct msghdr){.msg_name = &batch->sources[i], .msg_iov = &batch->in[i], .msg_iovlen = 1};
        batch->sent[i].msg_hdr = (struct msghdr){.msg_iov = &batch->out[i], .msg_iovlen = 1};
    }
    worker->running = 1;
    worker->limited.wanted = 1;
    sigfillset(&all); /* signals are Python's */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&worker->thread, NULL, serve, worker);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error) {
        worker->running = 0;
        free(batch);
    }
    return error;
}

void worker_stop(struct worker *worker) {
    if (!worker->running)
        return;
    __atomic_store_n(&worker->running, 0, __ATOMIC_RELEASE);
    /* Linux says that an unconnected socket cannot be shut down, but wakes whoever waits for it. (A limit for the time to
     * wait would do as well, and set a timer for each wait.) */
    shutdown(worker->socket, SHUT_RD);
    pthread_join(worker->thread, NULL);
    free(worker->batch);
}
