/* A load generator for name servers, for loopback only in its use here.
 *
 *   load udp ADDRESS PORT QUERIES WINDOW MAX_QUERIES MAX_SECONDS FIRST
 *   load axfr ADDRESS PORT QUERIES MAX_SECONDS
 *
 * QUERIES is a file of records: length (16 bits, big-endian), expected rcode (8 bits), 0, then a query message.
 *
 * udp keeps WINDOW queries outstanding (a closed loop), goes round the file from query number FIRST on, and stops after
 * MAX_QUERIES or MAX_SECONDS. An answer counts if its id belongs to an outstanding query, QR is set, and it repeats that query's
 * question; a query without an answer for LOST_SECONDS is lost and its place is used again under a new id. It spins
 * while nothing arrives, so that waking it up is no cost of the server.
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
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum {
    HEADER = 12,
    MAX_WINDOW = 1024, /* ids hold the place in the window in their low 10 bits, its generation above */
    PLACE_BITS = 10,
    MAX_ANSWER = 4096,
    TYPE_SOA = 6,
};
#define LOST_SECONDS 1.0

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
            if (length < HEADER + 5 || at + 4 + length > size)
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

static struct place places[MAX_WINDOW];
static int free_places[MAX_WINDOW];
static struct mmsghdr out[MAX_WINDOW], in[MAX_WINDOW];
static struct iovec out_parts[MAX_WINDOW][2], in_parts[MAX_WINDOW];
static uint8_t answers[MAX_WINDOW][MAX_ANSWER];

static void run_udp(int fd, int window, long max_queries, double max_seconds, size_t first)
{
    long sent = 0, answered = 0, lost = 0, bad = 0, unexpected = 0, truncated = 0, bytes = 0, rcodes[16] = {0};
    size_t next = first % query_count;
    int free_count = 0, outstanding = 0, idle = 0;
    double start = now(), end = start + max_seconds, time = start, last_answer = start;

    for (int i = 0; i < window; i++) {
        free_places[free_count++] = i;
        in_parts[i] = (struct iovec){answers[i], MAX_ANSWER};
        in[i].msg_hdr = (struct msghdr){.msg_iov = &in_parts[i], .msg_iovlen = 1};
    }
    for (;;) {
        int sending = time < end && sent < max_queries;
        if (!sending && !outstanding)
            break;
        if (time > end + 2 * LOST_SECONDS)
            break;
        /* Refill when a quarter is free or nothing comes: the server should meet bursts, not single packets. */
        if (sending && free_count && (free_count >= window / 4 || idle)) {
            int n = 0;
            while (n < free_count && sent + n < max_queries) {
                int at = free_places[free_count - 1 - n];
                struct place *place = &places[at];
                place->query = &queries[next];
                place->id = htons((uint16_t)(++place->generation << PLACE_BITS | at));
                place->sent = time;
                next = next + 1 == query_count ? 0 : next + 1;
                out_parts[n][0] = (struct iovec){&place->id, 2};
                out_parts[n][1] = (struct iovec){(void *)(place->query->wire + 2), place->query->length - 2};
                out[n].msg_hdr = (struct msghdr){.msg_iov = out_parts[n], .msg_iovlen = 2};
                n++;
            }
            int done = 0;
            while (done < n) {
                int k = sendmmsg(fd, out + done, n - done, 0);
                if (k < 0 && (errno == EINTR || errno == ENOBUFS || errno == EAGAIN))
                    continue;
                if (k < 0)
                    fail("send");
                done += k;
            }
            free_count -= n;
            outstanding += n;
            sent += n;
        }
        int n = recvmmsg(fd, in, window, MSG_DONTWAIT, NULL);
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            fail("receive");
        idle = n <= 0;
        time = now();
        for (int i = 0; i < n; i++) {
            const uint8_t *answer = answers[i];
            size_t length = in[i].msg_len;
            uint16_t id;
            memcpy(&id, answer, 2);
            int at = ntohs(id) & (MAX_WINDOW - 1);
            const struct query *query = length >= HEADER && at < window ? places[at].query : NULL;
            if (!query || places[at].id != id || !(answer[2] & 0x80) ||
                length < (size_t)HEADER + query->question_length || answer[4] || answer[5] != 1 ||
                memcmp(answer + HEADER, query->wire + HEADER, query->question_length)) {
                bad++;
                continue;
            }
            int rcode = answer[3] & 15;
            rcodes[rcode]++;
            unexpected += rcode != query->expected_rcode;
            truncated += (answer[2] & 2) != 0;
            bytes += length;
            answered++;
            last_answer = time;
            places[at].query = NULL;
            free_places[free_count++] = at;
            outstanding--;
        }
        if (idle && outstanding && time - last_answer > 0.01)
            for (int i = 0; i < window; i++)
                if (places[i].query && time - places[i].sent > LOST_SECONDS) {
                    places[i].query = NULL;
                    free_places[free_count++] = i;
                    outstanding--;
                    lost++;
                }
    }
    lost += outstanding;
    printf("{\"sent\": %ld, \"answered\": %ld, \"lost\": %ld, \"bad\": %ld, \"unexpected\": %ld, \"truncated\": %ld, "
           "\"bytes\": %ld, \"seconds\": %.6f, \"rcodes\": [",
           sent, answered, lost, bad, unexpected, truncated, bytes, last_answer - start);
    for (int i = 0; i < 16; i++)
        printf("%ld%s", rcodes[i], i < 15 ? ", " : "]}\n");
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
    if (argc == 9 && !strcmp(argv[1], "udp")) {
        int window = atoi(argv[5]);
        if (window < 1 || window > MAX_WINDOW)
            fail("window");
        read_queries(argv[4]);
        run_udp(connected(argv[2], argv[3], SOCK_DGRAM), window, atol(argv[6]), atof(argv[7]),
                strtoul(argv[8], NULL, 10));
    } else if (argc == 6 && !strcmp(argv[1], "axfr")) {
        read_queries(argv[4]);
        run_axfr(connected(argv[2], argv[3], SOCK_STREAM), atof(argv[5]));
    } else {
        fprintf(stderr, "usage: load udp ADDRESS PORT QUERIES WINDOW MAX_QUERIES MAX_SECONDS FIRST\n"
                        "       load axfr ADDRESS PORT QUERIES MAX_SECONDS\n");
        return 1;
    }
    return 0;
}
