/* The floor of the benchmark: what a name server pays for receiving and sending alone.
 *
 *   floor ADDRESS PORT WORKERS
 *
 * Each worker is a process with one thread and a socket of its own. It receives what is there, at most BATCH datagrams
 * and blocking if there is nothing, sets QR in each query where it lies, and sends them all back.
 *
 * At SIGTERM each prints how many queries it has answered, and in how many batches.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BATCH = 64, MAX_QUERY = 4096, HEADER = 12, QR = 0x80 };

static struct mmsghdr in[BATCH], out[BATCH];
static struct iovec in_parts[BATCH], out_parts[BATCH];
static struct sockaddr_in6 clients[BATCH]; /* has room for IPv4 as well */
static uint8_t queries[BATCH][MAX_QUERY];
static volatile sig_atomic_t ending;

static void end(int signal)
{
    (void)signal;
    ending = 1;
}

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static int bound(const char *address, const char *port)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(atoi(port))};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(atoi(port))};
    int is_v4 = inet_pton(AF_INET, address, &v4.sin_addr) == 1, on = 1;
    if (!is_v4 && inet_pton(AF_INET6, address, &v6.sin6_addr) != 1)
        fail("address");
    int fd = socket(is_v4 ? AF_INET : AF_INET6, SOCK_DGRAM, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on))
        fail("socket");
    if (is_v4 ? bind(fd, (struct sockaddr *)&v4, sizeof v4) : bind(fd, (struct sockaddr *)&v6, sizeof v6))
        fail("bind");
    return fd;
}

static void serve(int fd)
{
    long answered = 0, batches = 0;
    for (int i = 0; i < BATCH; i++) {
        in_parts[i] = (struct iovec){queries[i], MAX_QUERY};
        in[i].msg_hdr = (struct msghdr){.msg_name = &clients[i], .msg_iov = &in_parts[i], .msg_iovlen = 1};
        out[i].msg_hdr = (struct msghdr){.msg_iov = &out_parts[i], .msg_iovlen = 1};
    }
    while (!ending) {
        for (int i = 0; i < BATCH; i++)
            in[i].msg_hdr.msg_namelen = sizeof clients[i];
        int received = recvmmsg(fd, in, BATCH, MSG_WAITFORONE, NULL);
        if (received < 0 && errno != EINTR)
            fail("recvmmsg");
        int n = 0;
        for (int i = 0; i < received; i++) {
            if (in[i].msg_len < HEADER || queries[i][2] & QR)
                continue;
            queries[i][2] |= QR;
            out_parts[n] = (struct iovec){queries[i], in[i].msg_len};
            out[n].msg_hdr.msg_name = &clients[i];
            out[n].msg_hdr.msg_namelen = in[i].msg_hdr.msg_namelen;
            n++;
        }
        for (int sent = 0; sent < n;) {
            int k = sendmmsg(fd, out + sent, n - sent, 0);
            if (k < 0 && errno != EINTR)
                k = 1; /* this one cannot be sent */
            sent += k > 0 ? k : 0;
        }
        answered += n;
        batches += n > 0;
    }
    printf("%ld queries in %ld batches\n", answered, batches);
}

int main(int argc, char **argv)
{
    struct sigaction action = {.sa_handler = end};
    if (argc != 4) {
        fprintf(stderr, "usage: floor ADDRESS PORT WORKERS\n");
        return 1;
    }
    sigaction(SIGTERM, &action, NULL); /* without SA_RESTART: it interrupts recvmmsg */
    for (int more = atoi(argv[3]) - 1; more > 0; more--)
        if (!fork()) {
            prctl(PR_SET_PDEATHSIG, SIGTERM);
            break;
        }
    serve(bound(argv[1], argv[2]));
    return 0;
}
