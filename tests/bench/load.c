/* A load generator for name servers, for loopback only in its use here.
 *
 *   load udp ADDRESS PORT QUERIES WINDOW MAX_QUERIES MAX_SECONDS FIRST SOCKETS spin|wait
 *   load axfr ADDRESS PORT QUERIES MAX_SECONDS
 *
 * QUERIES is a file of records: length (16 bits, big-endian), expected rcode (8 bits), 0, then a query message.
 *
 * udp keeps WINDOW queries outstanding (a closed loop), shared out equally among SOCKETS, goes round the file from
 * query number FIRST on, and stops after MAX_QUERIES or MAX_SECONDS. An answer counts if its id belongs to an
 * outstanding query, QR is set, and it repeats that query's question; a query without an answer for LOST_SECONDS is
 * lost and its place is used again under a new id. With `spin` it never sleeps, so that waking it up is no cost of the
 * server; with `wait` it leaves the processor to others while nothing arrives. `idle_seconds` is the time in which it
 * had nothing to send or to receive.
 *
 * axfr sends the first query over TCP and reads until the zone's second SOA.
 *
 * Either prints one JSON object. Exit status 1: a problem, told on standard error.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum {
    HEADER = 12,
    MAX_WINDOW = 1024, /* ids hold the place in the window in their low 10 bits, its generation above */
    PLACE_BITS = 10,
    MAX_SOCKETS = 64,
    MAX_QUERY = 512,
    MAX_ANSWER = 4096,
    TYPE_SOA = 6,
};
#define LOST_SECONDS 1.0
#define PATIENCE_SECONDS 20e-6

struct query {
    const uint8_t *wire;
    uint16_t length;
    uint16_t question_length; /* of the question section */
    uint8_t expected_rcode;
};

struct place {
    const struct query *query; /* NULL: free */
    uint16_t generation;
    uint16_t id; /* as sent, in network order */
    double sent;
};

static struct query *queries;
static size_t query_count;

static void fail(const char *what)
{
    fprintf(stderr, "load: %s: %s\n", what, errno ? strerror(errno) : "not as expected");
    exit(1);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static void read_queries(const char *path)
{
    FILE *file = fopen(path, "rb");
    struct stat st;
    if (!file || fstat(fileno(file), &st))
        fail(path);
    size_t size = st.st_size;
    uint8_t *data = malloc(size + 1);
    if (!data || fread(data, 1, size, file) != size)
        fail(path);
    fclose(file);
    for (int pass = 0; pass < 2; pass++) { /* count, then fill */
        size_t n = 0;
        for (size_t at = 0; at + 4 <= size; n++) {
            uint16_t length = data[at] << 8 | data[at + 1];
            const uint8_t *wire = data + at + 4;
            if (length < HEADER + 5 || length > MAX_QUERY || at + 4 + length > size)
                fail("a query");
            if (pass) {
                size_t end = HEADER;
                while (end < length && wire[end])
                    end += wire[end] + 1;
                end += 5;
                if (end > length)
                    fail("a question");
                queries[n] = (struct query){wire, length, end - HEADER, data[at + 2]};
            }
            at += 4 + length;
        }
        if (!pass && !(queries = calloc(n + 1, sizeof *queries)))
            fail("memory");
        query_count = n;
    }
    if (!query_count)
        fail("no queries");
}

static int connected(const char *address, const char *port, int kind)
{
    struct sockaddr_storage to = {0};
    struct sockaddr_in *v4 = (struct sockaddr_in *)&to;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&to;
    socklen_t length = sizeof *v4;
    if (inet_pton(AF_INET, address, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(atoi(port));
    } else if (inet_pton(AF_INET6, address, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(atoi(port));
        length = sizeof *v6;
    } else {
        fail("address");
    }
    int fd = socket(to.ss_family, kind, 0);
    if (fd < 0)
        fail("socket");
    int buffer = 4 << 20;
    if (kind == SOCK_DGRAM && setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer))
        fail("receive buffer");
    if (connect(fd, (struct sockaddr *)&to, length))
        fail("connect");
    return fd;
}

/* A socket and its share of the window. Several sockets: SO_REUSEPORT spreads them over the workers of a server. */
struct channel {
    int fd;
    int free_places[MAX_WINDOW];
    int free_count;
    double last_moved;
};

static struct channel channels[MAX_SOCKETS];
static struct place places[MAX_WINDOW];
static struct mmsghdr out[MAX_WINDOW], in[MAX_WINDOW];
static struct iovec out_parts[MAX_WINDOW], in_parts[MAX_WINDOW];
static uint8_t packets[MAX_WINDOW][MAX_QUERY], answers[MAX_WINDOW][MAX_ANSWER];
static struct {
    long sent, answered, lost, bad, unexpected, truncated, bytes, rcodes[16];
} totals;

/* Sends as many queries as there are free places, at most `most`; how many. */
static int refill(struct channel *channel, long most, size_t *next, double time)
{
    int n = 0, done = 0;
    while (channel->free_count && n < most) {
        int at = channel->free_places[--channel->free_count];
        struct place *place = &places[at];
        place->query = &queries[*next];
        place->id = htons((uint16_t)(++place->generation << PLACE_BITS | at));
        place->sent = time;
        *next = *next + 1 == query_count ? 0 : *next + 1;
        memcpy(packets[n], place->query->wire, place->query->length);
        memcpy(packets[n], &place->id, 2);
        out_parts[n] = (struct iovec){packets[n], place->query->length};
        n++;
    }
    while (done < n) {
        int k = sendmmsg(channel->fd, out + done, n - done, 0);
        if (k < 0 && errno != EINTR && errno != ENOBUFS && errno != EAGAIN)
            fail("send");
        done += k > 0 ? k : 0;
    }
    totals.sent += n;
    return n;
}

/* Takes the answers that are there; how many datagrams came. */
static int receive(struct channel *channel, int first, int share)
{
    int n = recvmmsg(channel->fd, in, share, MSG_DONTWAIT, NULL);
    if (n < 0 && errno != EAGAIN && errno != EINTR)
        fail("receive");
    for (int i = 0; i < n; i++) {
        const uint8_t *answer = answers[i];
        size_t length = in[i].msg_len;
        uint16_t id;
        memcpy(&id, answer, 2);
        int at = ntohs(id) & (MAX_WINDOW - 1);
        const struct query *query = length >= HEADER && at >= first && at < first + share ? places[at].query : NULL;
        if (!query || places[at].id != id || !(answer[2] & 0x80) ||
            length < (size_t)HEADER + query->question_length || answer[4] || answer[5] != 1 ||
            memcmp(answer + HEADER, query->wire + HEADER, query->question_length)) {
            totals.bad++;
            continue;
        }
        int rcode = answer[3] & 15;
        totals.rcodes[rcode]++;
        totals.unexpected += rcode != query->expected_rcode;
        totals.truncated += (answer[2] & 2) != 0;
        totals.bytes += length;
        totals.answered++;
        places[at].query = NULL;
        channel->free_places[channel->free_count++] = at;
    }
    return n < 0 ? 0 : n;
}

/* Gives up the queries of a channel that were sent too long ago. */
static void forget(struct channel *channel, int first, int share, double time)
{
    for (int at = first; at < first + share; at++)
        if (places[at].query && time - places[at].sent > LOST_SECONDS) {
            places[at].query = NULL;
            channel->free_places[channel->free_count++] = at;
            totals.lost++;
        }
}

static double cpu_seconds(void)
{
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return used.ru_utime.tv_sec + used.ru_stime.tv_sec + (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

static void run_udp(int sockets, int window, int spins, long max_queries, double max_seconds, size_t first)
{
    size_t next = first % query_count;
    int share = window / sockets; /* of each socket */
    struct pollfd polled[MAX_SOCKETS];
    double cpu = cpu_seconds(), start = now(), end = start + max_seconds, time = start, last_answer = start, idle = 0;

    for (int i = 0; i < share; i++) {
        in_parts[i] = (struct iovec){answers[i], MAX_ANSWER};
        in[i].msg_hdr = (struct msghdr){.msg_iov = &in_parts[i], .msg_iovlen = 1};
        out[i].msg_hdr = (struct msghdr){.msg_iov = &out_parts[i], .msg_iovlen = 1};
    }
    for (int c = 0; c < sockets; c++) {
        polled[c] = (struct pollfd){.fd = channels[c].fd, .events = POLLIN};
        for (int i = 0; i < share; i++)
            channels[c].free_places[channels[c].free_count++] = c * share + i;
    }
    for (;;) {
        int sending = time < end && totals.sent < max_queries, moved = 0;
        if (!sending && totals.answered + totals.lost == totals.sent)
            break;
        if (time > end + 2 * LOST_SECONDS)
            break;
        for (int c = 0; c < sockets; c++) {
            struct channel *channel = &channels[c];
            int sent = 0, received;
            /* When a quarter is free, or nothing has come for a while: a server should meet bursts. */
            if (sending && channel->free_count &&
                (channel->free_count * 4 >= share || time - channel->last_moved > PATIENCE_SECONDS))
                sent = refill(channel, max_queries - totals.sent, &next, time);
            received = receive(channel, c * share, share);
            if (sent || received)
                channel->last_moved = time;
            else if (channel->free_count < share && time - channel->last_moved > 0.01)
                forget(channel, c * share, share, time);
            if (received)
                last_answer = -1; /* told below, when the time is known */
            moved += sent + received;
        }
        if (!moved && !spins)
            poll(polled, sockets, 1);
        double before = time;
        time = now();
        if (last_answer < 0)
            last_answer = time;
        if (!moved)
            idle += time - before;
    }
    totals.lost = totals.sent - totals.answered;
    printf("{\"sent\": %ld, \"answered\": %ld, \"lost\": %ld, \"bad\": %ld, \"unexpected\": %ld, \"truncated\": %ld, "
           "\"bytes\": %ld, \"seconds\": %.6f, \"idle_seconds\": %.6f, \"cpu_seconds\": %.6f, \"rcodes\": [",
           totals.sent, totals.answered, totals.lost, totals.bad, totals.unexpected, totals.truncated, totals.bytes,
           last_answer - start, idle, cpu_seconds() - cpu);
    for (int i = 0; i < 16; i++)
        printf("%ld%s", totals.rcodes[i], i < 15 ? ", " : "]}\n");
}

static uint8_t *skip_name(uint8_t *at, uint8_t *end)
{
    while (at < end && *at && *at < 0xc0)
        at += *at + 1;
    if (at < end)
        at += *at ? 2 : 1;
    if (at > end)
        fail("a name in the transfer");
    return at;
}

static size_t read_exactly(int fd, uint8_t *to, size_t length)
{
    size_t got = 0;
    while (got < length) {
        ssize_t n = read(fd, to + got, length - got);
        if (n <= 0)
            fail("the transfer ended early");
        got += n;
    }
    return got;
}

static void run_axfr(int fd, double max_seconds)
{
    static uint8_t message[65536];
    long records = 0, messages = 0, bytes = 0;
    int soas = 0, on = 1;
    double start = now();
    struct timeval patience = {(long)max_seconds, 0};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    message[0] = queries[0].length >> 8;
    message[1] = queries[0].length & 255;
    memcpy(message + 2, queries[0].wire, queries[0].length);
    if (write(fd, message, queries[0].length + 2) != queries[0].length + 2)
        fail("send");
    while (soas < 2) {
        uint8_t prefix[2];
        read_exactly(fd, prefix, 2);
        size_t length = prefix[0] << 8 | prefix[1];
        if (length < HEADER)
            fail("a short message");
        bytes += read_exactly(fd, message, length);
        messages++;
        if (message[3] & 15) {
            fprintf(stderr, "load: transfer refused with rcode %d\n", message[3] & 15);
            exit(1);
        }
        uint8_t *at = message + HEADER, *end = message + length;
        for (int i = message[4] << 8 | message[5]; i > 0; i--)
            at = skip_name(at, end) + 4;
        for (int i = message[6] << 8 | message[7]; i > 0; i--) {
            at = skip_name(at, end);
            if (end - at < 10)
                fail("a record of the transfer");
            soas += at[0] == 0 && at[1] == TYPE_SOA;
            at += 10 + (at[8] << 8 | at[9]);
            if (at > end)
                fail("rdata of the transfer");
            records++;
        }
        if (now() - start > max_seconds)
            fail("the transfer takes too long");
    }
    printf("{\"records\": %ld, \"messages\": %ld, \"bytes\": %ld, \"seconds\": %.6f}\n", records, messages, bytes,
           now() - start);
}

int main(int argc, char **argv)
{
    if (argc == 11 && !strcmp(argv[1], "udp")) {
        int window = atoi(argv[5]), sockets = atoi(argv[9]);
        if (sockets < 1 || sockets > MAX_SOCKETS || window < sockets || window > MAX_WINDOW)
            fail("window");
        read_queries(argv[4]);
        for (int c = 0; c < sockets; c++)
            channels[c].fd = connected(argv[2], argv[3], SOCK_DGRAM);
        run_udp(sockets, window, !strcmp(argv[10], "spin"), atol(argv[6]), atof(argv[7]), strtoul(argv[8], NULL, 10));
    } else if (argc == 6 && !strcmp(argv[1], "axfr")) {
        read_queries(argv[4]);
        run_axfr(connected(argv[2], argv[3], SOCK_STREAM), atof(argv[5]));
    } else {
        fprintf(stderr, "usage: load udp ADDRESS PORT QUERIES WINDOW MAX_QUERIES MAX_SECONDS FIRST SOCKETS spin|wait\n"
                        "       load axfr ADDRESS PORT QUERIES MAX_SECONDS\n");
        return 1;
    }
    return 0;
}
