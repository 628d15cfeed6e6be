# shellcheck shell=bash
# The two network namespaces of fanout.sh, which sources this: a veth pair joins them.

RELAY_NS=mb-relay-$$; VIEW_NS=mb-view-$$
RELAY_DEV=mbr$$; VIEW_DEV=mbv$$
RELAY_IP=10.8.0.1; VIEW_IP=10.8.0.2

# Every address of 10.9.0.0/16 is the viewers' own, so each subscriber has one, and two sockets hear them all.
make_network() {
    ip netns add "${RELAY_NS}"
    ip netns add "${VIEW_NS}"
    ip link add "${RELAY_DEV}" netns "${RELAY_NS}" type veth peer name "${VIEW_DEV}" netns "${VIEW_NS}"
    in_relay ip link set lo up
    in_view ip link set lo up
    in_relay ip address add "${RELAY_IP}/24" dev "${RELAY_DEV}"
    in_view ip address add "${VIEW_IP}/24" dev "${VIEW_DEV}"
    in_relay ip link set "${RELAY_DEV}" up
    in_view ip link set "${VIEW_DEV}" up
    in_relay ip route add 10.9.0.0/16 via "${VIEW_IP}"
    in_relay ip route add 239.0.0.0/8 dev "${RELAY_DEV}"
    in_view ip route add local 10.9.0.0/16 dev lo
    in_view ip route add 239.0.0.0/8 dev "${VIEW_DEV}"
    for ns in "${RELAY_NS}" "${VIEW_NS}"; do
        ip netns exec "${ns}" sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0
        # Larger buffers where the kernel keeps these per namespace; else the machine's own count.
        ip netns exec "${ns}" sysctl -qw net.core.rmem_max=16777216 net.core.wmem_max=16777216 2> /dev/null || true
    done
    in_relay ethtool -K "${RELAY_DEV}" tx-udp-segmentation "${GSO}" gro "${GRO}" > /dev/null
    [ "${GRO}" = off ] || merge_arrivals
}

# As a network card does: what arrives within 50 µs of each other is merged. A veth device does so only for a peer
# without TSO.
merge_arrivals() {
    local setting
    in_view ethtool -K "${VIEW_DEV}" tso off > /dev/null
    for setting in gro_flush_timeout=50000 napi_defer_hard_irqs=100; do
        in_relay tee "/sys/class/net/${RELAY_DEV}/${setting%=*}" <<< "${setting#*=}" > /dev/null
    done
}

# Not for what runs in the background: there the id of the function would be that of a shell.
in_relay() { ip netns exec "${RELAY_NS}" "$@"; }
in_view() { ip netns exec "${VIEW_NS}" "$@"; }
