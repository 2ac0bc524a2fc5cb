"""Every peer, in the order in which they run. A new one is a file here and a line below."""

from bench.peers.known.envoy import ENVOY
from bench.peers.known.ferro import FERRO
from bench.peers.known.haproxy import HAPROXY
from bench.peers.known.hardcap import HARDCAP
from bench.peers.known.litellm import LITELLM
from bench.peers.known.nginx import NGINX
from bench.peers.known.portkey import PORTKEY
from bench.peers.known.smg import SMG
from bench.peers.known.tensorzero import TENSORZERO
from bench.peers.known.visionality import VISIONALITY

REFERENCE = NGINX
PEERS = (VISIONALITY, HAPROXY, ENVOY, SMG, TENSORZERO, FERRO, HARDCAP, PORTKEY, LITELLM)
