#!/bin/bash
# Runs a command in a network of its own, with one link that carries multicast. Called inside `unshare --net`.
set -euo pipefail
ip link set lo up
ip link add funk0 type veth peer name funk1
ip address add 10.77.0.1/24 dev funk0
ip address add 10.77.0.2/24 dev funk0
ip address add 10.77.0.3/24 dev funk0
ip address add 10.77.0.4/24 dev funk0
ip link set funk0 up multicast on
ip link set funk1 up
# Agents ask on both families; without an address that is ready they give up on both.
ip -6 address add fe80::77/64 dev funk0 nodad
ip route add 224.0.0.0/4 dev funk0
exec "$@"
