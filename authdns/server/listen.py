"""Opening the sockets that queries come in by, and saying in one line why one cannot be opened."""

import contextlib
import errno
import os
import resource
import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address

from authdns.config import Endpoint
from authdns.server.log import log

SOCKET_BUFFER_OCTETS = 4 << 20  # a burst of some thousand queries; the kernel gives less if it must
TCP_BACKLOG = 512

# Not in the socket module; from linux/in.h and linux/in6.h.
_IP_MTU_DISCOVER = 10
_IP_FREEBIND = 15
_IPV6_MTU_DISCOVER = 23
_IPV6_FREEBIND = 78
_PMTUDISC_OMIT = 5  # never trust path-MTU messages that anyone can forge; fragment if it must be
IP_PKTINFO = 8


class CannotStart(Exception):
    """One line that says why, and the exit code (sysexits.h) that goes with it."""

    def __init__(self, reason: str, exit_code: int) -> None:
        super().__init__(reason)
        self.exit_code = exit_code


def open_sockets(endpoint: Endpoint, udp_sockets: int = 1) -> tuple[list[socket.socket], socket.socket]:
    """The UDP sockets and the TCP socket of one endpoint: bound, non-blocking, TCP listening. Raises CannotStart.

    Several UDP sockets share the port: the kernel spreads queries over them. That others could join them does not
    matter: no second server can bind the TCP socket.

    An address that this host does not have (yet: networks come up late, and addresses come and go) is bound all the
    same, with a warning: it must not keep the server from answering on the others.
    """
    tcp = _open(endpoint, socket.SOCK_STREAM)
    udp: list[socket.socket] = []
    try:
        udp.extend(_open(endpoint, socket.SOCK_DGRAM, shared=udp_sockets > 1) for _ in range(udp_sockets))
    except CannotStart:
        for sock in (tcp, *udp):
            sock.close()
        raise
    return udp, tcp


def open_tls_socket(endpoint: Endpoint) -> socket.socket:
    """The TCP socket of an endpoint for TLS, as `open_sockets`. Raises CannotStart."""
    return _open(endpoint, socket.SOCK_STREAM)


def _open(endpoint: Endpoint, kind: socket.SocketKind, *, shared: bool = False) -> socket.socket:
    family = socket.AF_INET6 if endpoint.host.version == 6 else socket.AF_INET
    try:
        sock = socket.socket(family, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    except OSError as error:
        raise _refusal(endpoint, error) from error
    try:
        _configure(sock, family, kind, wildcard=endpoint.host.is_unspecified)
        if shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        _bind(sock, endpoint)
        if kind == socket.SOCK_STREAM:
            sock.listen(TCP_BACKLOG)
    except OSError as error:
        sock.close()
        raise _refusal(endpoint, error) from error
    return sock


def _configure(sock: socket.socket, family: int, kind: int, *, wildcard: bool) -> None:
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    if kind == socket.SOCK_STREAM:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return
    _try_option(sock, socket.SOL_SOCKET, socket.SO_RCVBUF, SOCKET_BUFFER_OCTETS)
    if family == socket.AF_INET6:
        _try_option(sock, socket.IPPROTO_IPV6, _IPV6_MTU_DISCOVER, _PMTUDISC_OMIT)
        if wildcard:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    else:
        _try_option(sock, socket.IPPROTO_IP, _IP_MTU_DISCOVER, _PMTUDISC_OMIT)
        if wildcard:
            sock.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)


def _bind(sock: socket.socket, endpoint: Endpoint) -> None:
    address = (str(endpoint.host), endpoint.port)
    try:
        sock.bind(address)
    except OSError as error:
        if error.errno != errno.EADDRNOTAVAIL:
            raise
        if endpoint.host.version == 6:
            sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_FREEBIND, 1)
        else:
            sock.setsockopt(socket.IPPROTO_IP, _IP_FREEBIND, 1)
        sock.bind(address)
        if sock.type == socket.SOCK_STREAM:  # once for both
            log.warning("%s: this host does not have that address (yet); nothing arrives there before it has", endpoint)


def _try_option(sock: socket.socket, level: int, option: int, value: int) -> None:
    with contextlib.suppress(OSError):  # other systems than Linux lack it, and the server works without
        sock.setsockopt(level, option, value)


def _refusal(endpoint: Endpoint, error: OSError) -> CannotStart:
    if error.errno in (errno.EACCES, errno.EPERM):
        reason = f"permission denied: port {endpoint.port} needs CAP_NET_BIND_SERVICE (the systemd unit gives it)"
        return CannotStart(f"cannot listen on {endpoint}: {reason}", os.EX_NOPERM)
    if error.errno == errno.EADDRINUSE:
        hint = " (systemd-resolved? deploy/INSTALL.md says what to do)" if endpoint.port == 53 else ""
        return CannotStart(f"cannot listen on {endpoint}: another program uses this port{hint}", os.EX_UNAVAILABLE)
    return CannotStart(f"cannot listen on {endpoint}: {error.strerror or error}", os.EX_OSERR)


def allow_files(number: int) -> None:
    """Raises the limit of file descriptors as far as it may be: a shell's 1,024 are fewer than the connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = number if hard == resource.RLIM_INFINITY else min(number, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    if wanted < number:
        log.warning("at most %d file descriptors are allowed, %d may be needed: lower tcp.connections", wanted, number)


def is_wildcard(sock: socket.socket) -> bool:
    return ip_address(sock.getsockname()[0]).is_unspecified


def source_for(listen: Sequence[Endpoint], address: IPv4Address | IPv6Address) -> str:
    """The address that others know us by, if we listen on one; else the wildcard, and the kernel chooses."""
    for endpoint in listen:
        host = endpoint.host
        same_family = host.version == address.version and not host.is_unspecified
        if same_family and host.is_loopback == address.is_loopback:  # loopback reaches no other host
            return str(host)
    return "::" if address.version == 6 else "0.0.0.0"
