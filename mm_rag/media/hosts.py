"""Which machines media may be fetched from: none that only insiders of this network can reach."""

from __future__ import annotations

import ipaddress
import socket
from typing import TYPE_CHECKING
from urllib.request import getproxies, proxy_bypass

from mm_rag.errors import SourceForbidden, UnreadableMedia
from mm_rag.media.host_names import IPAddress, is_inside, parse_host
from mm_rag.media.policy import MediaPolicy

if TYPE_CHECKING:
    import httpx

# IANA's registry of special purposes, and Azure's address for what runs inside it. Python's own
# `is_global` is not the same in all of its versions.
_NOT_PUBLIC = tuple(
    map(
        ipaddress.IPv4Network,
        (
            "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "168.63.129.16/32",
            "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24",
            "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3",
        ),
    )
)  # fmt: skip
_PUBLIC_V6 = ipaddress.IPv6Network("2000::/3")
# Protocol assignments with Teredo, documentation, 6to4: tunnels lead to whatever they name.
_NOT_PUBLIC_V6 = tuple(
    map(ipaddress.IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"))
)
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # to the IPv4 address in the last four bytes


def allowed_addresses(url: httpx.URL, policy: MediaPolicy) -> list[str]:
    """The addresses that the host of a URL stands for, if the policy allows each of them.

    Nothing is asked, of this machine or another, about a host that is refused.

    Args:
        url: What is about to be fetched, as `parsed_url` gives it.
        policy: Its `hosts` and `private_hosts` count.

    Returns:
        Addresses in the order in which to try them; none where only the proxy knows the name.

    Raises:
        SourceForbidden: The host is not one of `hosts`, or an address is private or reserved.
        UnreadableMedia: The name is not known.
    """
    host = parse_host(_bracketed(url.host))
    _check_listed(host, policy)
    if isinstance(host, str):
        if is_inside(host) and not policy.private_hosts:
            raise _private(host, "a name of this machine or its private network")
        found = _looked_up(url, host)
    else:
        found = [host]
    for address in found:
        if not is_public(address) and not policy.private_hosts:
            what = "an address of this machine or its private network, or a reserved one"
            raise _private(str(host), what if address is host else f"{address}, {what}")
    return [str(address) for address in found]


def proxy_for(url: httpx.URL) -> str | None:
    """The proxy that the environment sends requests to this host through."""
    proxies = getproxies()
    proxy = proxies.get(url.scheme) or proxies.get("all")
    if not proxy or proxy_bypass(url.host):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def is_public(address: IPAddress) -> bool:
    """Whether anybody on the internet could reach it."""
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC)
    inner = address.ipv4_mapped
    if inner is None and address in _NAT64:
        inner = ipaddress.IPv4Address(address.packed[-4:])
    if inner is not None:
        return is_public(inner)
    return address in _PUBLIC_V6 and not any(address in network for network in _NOT_PUBLIC_V6)


def _bracketed(host: str) -> str:
    """With the brackets that httpx took off, which tell a number from a name."""
    return f"[{host}]" if ":" in host else host


def _check_listed(host: IPAddress | str, policy: MediaPolicy) -> None:
    name = str(host)
    if policy.hosts is None or name in policy.hosts:
        return
    is_name = isinstance(host, str)
    if not (is_name and any(name.endswith(f".{listed}") for listed in policy.hosts)):
        raise SourceForbidden(
            f"Nothing is fetched from {name}: it is not one of MediaPolicy.hosts. Add it there if "
            "media may be fetched from it."
        )


def _private(host: str, what: str) -> SourceForbidden:
    return SourceForbidden(
        f"Nothing is fetched from {host}: it is {what}. MediaPolicy(private_hosts=True) allows it; "
        "then whoever names an address sees what this machine can see."
    )


def _looked_up(url: httpx.URL, host: str) -> list[IPAddress]:
    port = url.port or (443 if url.scheme == "https" else 80)
    try:
        places = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        if proxy_for(url):
            return []
        raise UnreadableMedia(f"There is no host {host!r} to fetch from: {error}.") from error
    return [ipaddress.ip_address(place) for place in dict.fromkeys(str(p[4][0]) for p in places)]
