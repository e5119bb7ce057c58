"""Which machines media may be fetched from: none that only insiders of this network can reach."""

from __future__ import annotations

import ipaddress
import socket
from typing import TypeAlias
from urllib.request import getproxies, proxy_bypass

import httpx

from mm_rag.errors import InputError, UnreadableMedia
from mm_rag.media.policy import MediaPolicy

_IP: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

# IPv6 networks that lead to the IPv4 address in the last four bytes.
_TRANSLATED = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("::/96"))


def public_addresses(url: httpx.URL, policy: MediaPolicy) -> list[str]:
    """The addresses that the host of a URL stands for.

    Args:
        url: What is about to be fetched.
        policy: Its `private_hosts` allows every machine.

    Raises:
        InputError: One of them is private, local or reserved.
        UnreadableMedia: The name is not known; a proxy may still know it, and is then given it.
    """
    port = url.port or (443 if url.scheme == "https" else 80)
    try:
        found = socket.getaddrinfo(url.host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        if is_proxied(url):
            return []
        raise UnreadableMedia(f"There is no host {url.host!r} to fetch from: {error}.") from error
    addresses = list(dict.fromkeys(str(place[0]) for *_, place in found))
    inside = [address for address in addresses if not _is_public(address)]
    if inside and not policy.private_hosts:
        raise InputError(
            f"{url.host} is {inside[0]}, an address of this machine or its private network, from "
            "which nothing is fetched. Set MediaPolicy(private_hosts=True) to allow it."
        )
    return addresses


def is_proxied(url: httpx.URL) -> bool:
    """Whether the environment sends requests to this host through a proxy."""
    proxies = getproxies()
    return (url.scheme in proxies or "all" in proxies) and not proxy_bypass(url.host)


def _is_public(address: str) -> bool:
    ip: _IP = ipaddress.ip_address(address.split("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or _translated(ip)
        if inner is not None and not _is_public(str(inner)):
            return False
    return ip.is_global and not ip.is_multicast


def _translated(ip: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    if any(ip in network for network in _TRANSLATED):
        return ipaddress.IPv4Address(ip.packed[-4:])
    return None
