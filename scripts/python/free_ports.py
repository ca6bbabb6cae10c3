"""Prints as many free TCP ports of 127.0.0.1 as the argument says, one a line.

They are taken below the range from which the kernel gives ports to outgoing connections: a service
must find its port still free when it is restarted, and a client that keeps reconnecting to a stopped
service must not be given that same port and meet itself there. Where there is no room below that
range, the kernel chooses (port 0).
"""

import random
import socket
import sys

LOWEST = 15000
ATTEMPTS = 1000


def lowest_ephemeral_port():
    try:
        with open("/proc/sys/net/ipv4/ip_local_port_range") as limits:
            return int(limits.read().split()[0])
    except OSError:
        return 0


def bind(port):
    candidate = socket.socket()
    try:
        candidate.bind(("127.0.0.1", port))
    except OSError:
        candidate.close()
        return None
    return candidate


def free_socket(highest):
    if highest - LOWEST >= ATTEMPTS:
        for _ in range(ATTEMPTS):
            bound = bind(random.randrange(LOWEST, highest))
            if bound:
                return bound
    return bind(0)


def free_ports(count):
    highest = lowest_ephemeral_port()
    # All stay bound until all are chosen, so that none comes twice.
    bound = [free_socket(highest) for _ in range(count)]
    ports = [each.getsockname()[1] for each in bound]
    for each in bound:
        each.close()
    return ports


if __name__ == "__main__":
    print(*free_ports(int(sys.argv[1])), sep="\n")
