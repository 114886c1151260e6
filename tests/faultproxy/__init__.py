"""A TCP proxy on the loopback address that lets connections fail: by plan, or at random from a seed.

It stands between a client and a server of any protocol. What it does to a connection happens in the middle of the
traffic, so requests get lost (the server never sees them) as well as answers (the server did it, and the client never
hears of it).
"""

from .faults import Fault, Kind, Random, Way
from .proxy import FaultProxy, proxied

__all__ = ["Fault", "FaultProxy", "Kind", "Random", "Way", "proxied"]
