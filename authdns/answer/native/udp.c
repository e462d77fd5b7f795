#define _GNU_SOURCE
#include "udp.h"

#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/uio.h>

enum {
    WAIT_MICROSECONDS = 200000, /* at most, before it looks whether it is to stop */
    STRIDE = RECEIVE_OCTETS + 64 /* buffers a power of two apart would share the same few lines of the cache */
};

/* Memory of one thread. */
struct batch {
    struct mmsghdr received[BATCH], sent[BATCH];
    struct iovec in[BATCH], out[BATCH];
    struct sockaddr_in6 sources[BATCH];
    struct job jobs[BATCH];
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

static void respond_to_all(struct worker *worker, struct batch *batch, unsigned received) {
    unsigned ready = 0;
    __atomic_store_n(&worker->epoch, worker->epoch + 1, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_SEQ_CST); /* whoever replaces something later sees that we are looking */
    const struct zone_set *zones = __atomic_load_n(worker->zones, __ATOMIC_ACQUIRE);
    for (unsigned i = 0; i < received; i++)
        begin(&batch->jobs[i], zones, batch->requests[i], batch->received[i].msg_len);
    for (unsigned i = 0; i < received; i++)
        prepare(&batch->jobs[i]);
    for (unsigned i = 0; i < received; i++) {
        struct msghdr *message = &batch->received[i].msg_hdr;
        struct job *job = &batch->jobs[i];
        if (!has_port(&batch->sources[i])) { /* forged, to make two servers talk to each other */
            count(&worker->counts.dropped);
            continue;
        }
        int length = finish(job, &worker->limits, batch->responses[ready], RECEIVE_OCTETS);
        if (length == DROPPED)
            count(&worker->counts.dropped);
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
            count(&worker->counts.answered[job->rcode][counted_type(job->qtype)]);
            count(&worker->counts.sizes[length >> SIZE_SHIFT]);
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
            continue; /* nothing for a while, or an ICMP error about an earlier answer */
        respond_to_all(worker, batch, (unsigned)received);
        clear(batch, (unsigned)received, worker->wildcard);
    }
    return NULL;
}

int worker_start(struct worker *worker) {
    struct timeval wait = {.tv_usec = WAIT_MICROSECONDS};
    sigset_t all, before;
    if (setsockopt(worker->socket, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait) < 0)
        return errno;
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
    pthread_join(worker->thread, NULL);
    free(worker->batch);
}
