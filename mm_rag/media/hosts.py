"""Host names and IP addresses as they stand in URLs, and which of them are public."""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from typing import TypeAlias

IPAddress: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAME = re.compile(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*")
_NUMBER = re.compile(r"0x[0-9a-f]*|[0-9]+")
# Names that are resolved by the machine or its network and never by the public DNS: RFC 6761, 6762
# (with its appendix G), 8375, and names used within clouds and clusters.
_INSIDE = re.compile(
    r"[^.]+|(.+\.)?(localhost|local|localdomain|internal|home\.arpa|lan|intranet|corp|home|private"
    r"|svc)"
)

# IANA's special-purpose registry, and the address of Azure's internal services. `is_global` differs
# between versions of Python.
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
# Protocol assignments with Teredo, documentation, 6to4. Tunnels lead to any address.
_NOT_PUBLIC_V6 = tuple(
    map(ipaddress.IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"))
)
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # to the IPv4 address in the last four bytes


def parse_host(host: str) -> IPAddress | str:
    """The IP address or name in the host part of a URL.

    Args:
        host: Host without user and port, IPv6 in brackets.

    Returns:
        An IP address, in any notation of browsers and C libraries (`127.1`, `0x7f000001`,
        `0177.0.0.1`, full-width digits); or a name in lower case and ASCII, without a final dot.

    Raises:
        ValueError: It is neither, such as a name in brackets.
    """
    if host.startswith("[") or host.endswith("]"):
        number = ipaddress.IPv6Address(host.removeprefix("[").removesuffix("]"))
        if host != f"[{host[1:-1]}]" or number.scope_id is not None:
            raise ValueError("no IPv6 address")
        return number
    name = _ascii(unicodedata.normalize("NFKC", host).lower().replace("\u3002", "."))
    name = name.removesuffix(".")
    if len(name) > 253 or not _NAME.fullmatch(name):
        raise ValueError("no host name")
    return _number(name) or name


def is_inside(name: str) -> bool:
    """Whether a name from `parse_host` is only valid within a private network."""
    return _INSIDE.fullmatch(name) is not None


def _ascii(name: str) -> str:
    if name.isascii():
        return name
    import httpx  # slow to import, and only needed for such names

    try:
        return httpx.URL(f"http://{name}/").raw_host.decode("ascii")
    except httpx.InvalidURL as error:
        raise ValueError("no host name") from error


def _number(name: str) -> ipaddress.IPv4Address | None:
    """The IPv4 address, parsed as by C's inet_aton; None if the last part is not a number."""
    parts = name.split(".")
    if not _NUMBER.fullmatch(parts[-1]):
        return None
    *front, last = [_part(part) for part in parts]
    if len(parts) > 4 or max(front, default=0) > 255 or last >= 256 ** (4 - len(front)):
        raise ValueError("no IPv4 address")
    high = sum(number << (24 - 8 * place) for place, number in enumerate(front))
    return ipaddress.IPv4Address(high + last)


def _part(part: str) -> int:
    if not _NUMBER.fullmatch(part):
        raise ValueError("no IPv4 address")
    if part.startswith("0x"):
        return int(part[2:] or "0", 16)
    return int(part, 8 if part.startswith("0") else 10)


def is_public(address: IPAddress) -> bool:
    """Whether an address is reachable from the public internet."""
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC)
    inner = address.ipv4_mapped
    if inner is None and address in _NAT64:
        inner = ipaddress.IPv4Address(address.packed[-4:])
    if inner is not None:
        return is_public(inner)
    return address in _PUBLIC_V6 and not any(address in network for network in _NOT_PUBLIC_V6)
