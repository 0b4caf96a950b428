#!/bin/bash
# Runs a command beside an Avahi daemon of its own, in a network of its own. Called inside `unshare --net --mount`; the first
# argument is a folder for sockets and settings, the rest is the command. Nothing of the machine's network or bus is touched.
set -euo pipefail
folder=$1
shift

ip link set lo up
ip link add funk0 type veth peer name funk1
ip address add 10.77.0.1/24 dev funk0
ip link set funk0 up multicast on
ip link set funk1 up
ip route add 224.0.0.0/4 dev funk0

mount -t tmpfs none /run
mkdir -p /run/avahi-daemon
cat >"$folder/bus.conf" <<CONF
<busconfig>
  <type>system</type>
  <listen>unix:path=$folder/bus</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/><allow own="*"/><allow send_destination="*" eavesdrop="true"/><allow receive_sender="*"/>
  </policy>
</busconfig>
CONF
cat >"$folder/avahi.conf" <<CONF
[server]
use-ipv6=no
allow-interfaces=funk0
[publish]
disable-publishing=yes
CONF

await() {
  for _ in $(seq 100); do
    [[ -S $1 ]] && return
    sleep 0.1
  done
  echo "no socket $1" >&2
  exit 1
}

export DBUS_SYSTEM_BUS_ADDRESS="unix:path=$folder/bus"
dbus-daemon --config-file="$folder/bus.conf" --nofork --nopidfile &
bus=$!
trap 'kill $bus; wait' EXIT
await "$folder/bus"
avahi-daemon --file="$folder/avahi.conf" --no-drop-root --no-chroot --no-rlimits &
avahi=$!
trap 'kill $avahi $bus; wait' EXIT
await /run/avahi-daemon/socket
"$@"
