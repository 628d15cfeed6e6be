#!/usr/bin/env bash
# The published fan-out benchmark: the bare system-call loop and Mirrorball in turn, under the same load.
#
# Two network namespaces are joined by a veth pair. The relay has one core; the source and all receivers have
# another. docs/performance.md says what is measured, and how. Needs root; leaves nothing behind.
set -euo pipefail

# shellcheck source=benches/network.sh
. "$(dirname "$0")/network.sh"
# shellcheck source=benches/config.sh
. "$(dirname "$0")/config.sh"
# shellcheck source=benches/storm.sh
. "$(dirname "$0")/storm.sh"
# shellcheck source=benches/starts.sh
. "$(dirname "$0")/starts.sh"

usage() {
    cat <<'END'
usage: fanout.sh udp|tcp|http|tls|tunnel|channels|record|past|many|repair|curve|setup|storm|starts|sockets [options]

  udp        RTP over UDP:         100, 300, 1000, 3000 subscribers;  hold 0, 2, 5 ms and auto
  tcp        interleaved in RTSP:  100, 300, 1000 subscribers;        hold 0, 5, 20 ms and auto
  http       MPEG-TS over HTTP:    200, 800, 1200 subscribers;        hold 20 ms; the bare loop sends interleaved
  tls        interleaved, plain and through TLS:  100, 300;           hold 5 ms and auto (Mirrorball only)
  tunnel     interleaved, plain and over HTTP:    100, 300;           hold 5 ms and auto (Mirrorball only)
  channels   100 channels of 10 subscribers;                          hold 0, 2 ms and auto
  record     10 channels of 100 subscribers, recorded and not;        hold 5 ms and auto (Mirrorball only)
  past       1000 viewers of a channel that is recorded: live, 900 of them back from there by numbers of their own,
             from 1000 moments of the last minute, and those beside 100 who are live;                                 hold 0, 5 ms (Mirrorball only)
  many       1000 channels of one subscriber on 20 ports, 80 packets/s each,
             beside 100 channels on one port at 800 packets/s;        hold auto
  repair     300 subscribers over UDP lose 0, 1, 5 % and ask for it again;  hold 0, 5 ms and auto (Mirrorball only)
  curve      10 to 3000 subscribers, over UDP and over TCP;           hold auto
  setup      10000 sessions are registered while 300 subscribers play (Mirrorball only)
  storm      1000 and 3000 viewers join at once while 300 others play; p99 over time (Mirrorball only)
  starts     100 starts at random moments: time to the first decoded picture (Mirrorball only)
  sockets    two cores send at once, over one socket or one each (no relay)

  --subscribers "N …"    instead of those above
  --hold "MS|auto …"     instead of those above; auto is Mirrorball's default, and not the bare loop's
  --seconds S            how long each run is measured (10)
  --rate N               packets a second of each channel (800)
  --channels N           so many channels; of many: the first load, and the other one gets as many packets a second
  --ports N              the channels' groups are spread over N ports (1)
  --burst N              each channel sends N packets at a time (1)
  --gro                  the relay's device merges what arrives: ethtool -K DEV gro on
  --shape ts|raw|h264    equal packets of 1328 bytes (ts), the same transport stream without RTP (raw; Mirrorball
                         only), or frames in fragments of 1400 bytes
  --directory DIRECTORY  of record and past: where, in place of one in /tmp; what is kept there goes
  --lose "PERCENT …"     of repair: instead of those above
  --no-gso               the relay's device does not segment: ethtool -K DEV tx-udp-segmentation off
  --stall N              N of the TCP readers stop reading for 5 s
  --sessions N           so many are registered by setup (10000)
  --repeat N             each run N times; the table has the one least disturbed: of the lowest p99 delay (1)
  --only bare|mirrorball one of the two relays alone
  --mirrorball FILE      the program (target/release/mirrorball, which is built)
  --cores RELAY,VIEW     the two cores (0,1)
  --cores2               the relay has both cores and two threads that send; source and receivers stay on the second
  --json                 one JSON object a run instead of the table
  --keep FILE            appends the JSON objects to FILE as well
  --transport NAME       of curve, tls and tunnel: one of their two alone
  --picture FILE         draws delay and CPU by subscribers (SVG) as well

END
    storm_usage
    echo
    starts_usage
}

main() {
    options "$@"
    [ "$(id -u)" -eq 0 ] || fail "needs root, for network namespaces and priorities: sudo $0 $*"
    [ "$(nproc)" -ge 2 ] || fail "needs two cores: one for the relay, one for source and receivers"
    for program in ip ethtool taskset setsid flock ss cargo; do
        command -v "${program}" > /dev/null || fail "needs ${program}"
    done
    WORK=$(mktemp -d)
    : > "${WORK}/reports"
    trap clean_up EXIT
    trap 'exit 130' INT TERM
    ulimit -n "$(ulimit -Hn)"
    build
    [ -z "${KEPT}" ] || { "show_${MODE%s}s" "${KEPT}" "${KEPT}"; exit; }
    find_http
    alone
    make_network
    case ${MODE} in
        setup) setup_run ;;
        storm) storm_runs ;;
        starts) starts_runs ;;
        sockets) sockets_run ;;
        many) many_runs ;;
        record) record_runs ;;
        past) past_runs ;;
        repair) repair_runs ;;
        *) for TRANSPORT in ${TRANSPORT}; do matrix; done; show_reports ;;
    esac
}

options() {
    MODE=${1:-}; SECONDS_EACH=10; RATE=800; SHAPE=ts; GSO=on; GRO=off; BOTH=; BURST=1; STALL=0; REPEAT=1; ONLY=;
    CORES=0,1; JSON=; KEEP=; PICTURE=; CHANNELS=1; PORTS=1; TRANSPORT=udp; SESSIONS=10000
    STORM="join"; OTHERS=; CONCURRENT=256; WITHIN=0; SETTLE=10; LABEL=mirrorball; NOISE=; KEPT=
    STARTS=100; CARRIERS="udp tcp http"; GOP=2; FILM=; STREAMS=; WHO=; HTTP=; ZAP=; GROUP=400; LOSE=0; RECORD=; RECORDS=; PAST=0; BESIDE=0; BACK=
    MIRRORBALL=${MIRRORBALL:-}
    case ${MODE} in
        udp) SUBSCRIBERS="100 300 1000 3000"; HOLDS="0 2 5 auto" ;;
        tcp) SUBSCRIBERS="100 300 1000"; HOLDS="0 5 20 auto"; TRANSPORT=tcp ;;
        http) SUBSCRIBERS="200 800 1200"; HOLDS="20"; TRANSPORT=http ;;
        tls | tunnel) SUBSCRIBERS="100 300"; HOLDS="5 auto"; TRANSPORT="tcp ${MODE}"; ONLY=mirrorball ;;
        channels) SUBSCRIBERS="1000"; HOLDS="0 2 auto"; CHANNELS=100 ;;
        record) SUBSCRIBERS="1000"; HOLDS="5 auto"; CHANNELS=10; ONLY=mirrorball ;;
        past) SUBSCRIBERS="1000"; HOLDS="0 5"; ONLY=mirrorball ;;
        many) SUBSCRIBERS=; HOLDS="auto"; CHANNELS=1000; PORTS=20; RATE=80 ;;
        repair) SUBSCRIBERS="300"; HOLDS="0 5 auto"; LOSSES="0 1 5"; ONLY=mirrorball ;;
        curve) SUBSCRIBERS="10 20 50 100 200 300 500 1000 2000 3000"; HOLDS="auto"; TRANSPORT="udp tcp" ;;
        setup) SUBSCRIBERS="300"; HOLDS="auto"; ONLY=mirrorball ;;
        storm) SUBSCRIBERS=; HOLDS="auto"; SECONDS_EACH=5; ONLY=mirrorball ;;
        starts) SUBSCRIBERS=100; HOLDS="auto"; ONLY=mirrorball ;;
        sockets) ONLY=bare ;;
        *) usage; exit 2 ;;
    esac
    shift
    while [ $# -gt 0 ]; do
        case $1 in
            --subscribers) SUBSCRIBERS=${2//,/ }; shift ;;
            --hold) HOLDS=${2//,/ }; shift ;;
            --seconds) SECONDS_EACH=$2; shift ;;
            --rate) RATE=$2; shift ;;
            --channels) CHANNELS=$2; shift ;;
            --ports) PORTS=$2; shift ;;
            --shape) SHAPE=$2; [ "${SHAPE}" != raw ] || ONLY=mirrorball; shift ;;
            --burst) BURST=$2; shift ;;
            --gro) GRO=on ;;
            --directory) RECORDS=$2; shift ;;
            --lose) LOSSES=${2//,/ }; shift ;;
            --no-gso) GSO=off ;;
            --stall) STALL=$2; shift ;;
            --repeat) REPEAT=$2; shift ;;
            --only) ONLY=$2; shift ;;
            --mirrorball) MIRRORBALL=$2; shift ;;
            --cores) CORES=$2; shift ;;
            --cores2) BOTH=yes ;;
            --json) JSON=yes ;;
            --sessions) SESSIONS=$2; shift ;;
            --keep) KEEP=$2; shift ;;
            --picture) PICTURE=$2; shift ;;
            --others) OTHERS=$2; shift ;;
            --transport) TRANSPORT=$2; shift ;;
            --leave) STORM=$2; shift ;;
            --restart) STORM=restart ;;
            --zap) STORM=zap; ZAP=$2; RATE=400; WITHIN=2; shift ;;
            --noise) STORM=$2; NOISE=yes; shift ;;
            --within) WITHIN=$2; shift ;;
            --kept) KEPT=${2//,/ }; shift ;;
            --concurrent) CONCURRENT=$2; shift ;;
            --settle) SETTLE=$2; shift ;;
            --label) LABEL=$2; shift ;;
            --starts) STARTS=$2; shift ;;
            --carriers) CARRIERS=${2//,/ }; shift ;;
            --gop) GOP=$2; shift ;;
            --film) FILM=$2; shift ;;
            --streams) STREAMS=$2; shift ;;
            *) usage; exit 2 ;;
        esac
        shift
    done
    RELAY_CORES=${CORES%,*}; VIEW_CORE=${CORES#*,}; THREADS=1
    [ -z "${BOTH}" ] || { RELAY_CORES=${CORES}; THREADS=2; }
    [ "${MODE}" != storm ] || storm_defaults
}

build() {
    local here root
    here=$(cd "$(dirname "$0")" && pwd); root=$(dirname "${here}")
    cargo build --quiet --release --manifest-path "${here}/fanout/Cargo.toml"
    FANOUT=${CARGO_TARGET_DIR:-${here}/fanout/target}/release/fanout
    [ "${ONLY}" != bare ] || return 0
    if [ -z "${MIRRORBALL}" ]; then
        MIRRORBALL=${CARGO_TARGET_DIR:-${root}/target}/release/mirrorball
        cargo build --quiet --release --manifest-path "${root}/Cargo.toml"
    fi
    [ -x "${MIRRORBALL}" ] || fail "no program at ${MIRRORBALL}"
}

# Two benchmarks at a time would measure each other: the second one waits. The lock ends with the script.
alone() {
    exec 9> /run/lock/mirrorball-fanout
    flock --nonblock 9 && return
    say "waiting: another fanout.sh is running"
    flock 9
}

RTSP_PORT=8554; RTSPS_PORT=8322; HTTP_PORT=8080; ADMIN_PORT=9469; BARE_PORT=7000
PIDS=(); RELAY_PID=

# Relay and receivers come before other programs, which disturb them all the same. Where the kernel groups
# programs by session, a nice value counts inside of its group alone, so they are sessions of their own.
FAVOURED=(setsid sh -c '[ ! -e /proc/self/autogroup ] || echo -20 > /proc/self/autogroup; exec nice -n -20 "$@"' sh)

matrix() {
    local subscribers hold relay turn
    for subscribers in ${SUBSCRIBERS}; do
        for hold in ${HOLDS}; do
            for relay in bare mirrorball; do
                [ -z "${ONLY}" ] || [ "${ONLY}" = "${relay}" ] || continue
                [ "${relay}:${hold}" != bare:auto ] || continue
                for ((turn = 1; turn <= REPEAT; turn++)); do
                    say "${relay}, ${subscribers} subscribers over ${TRANSPORT}, hold ${hold}, run ${turn} of ${REPEAT}"
                    measure "${relay}" "${subscribers}" "${hold}" >> "${WORK}/reports"
                    tail -n 1 "${WORK}/reports" >> "${KEEP:-/dev/null}"
                done
            done
        done
    done
}

# Many channels on many ports, then few on one: as many packets a second, which go to one viewer each.
many_runs() {
    local packets=$((CHANNELS * RATE)) load
    for load in "${CHANNELS} ${PORTS} ${RATE}" "100 1 $((packets / 100))"; do
        read -r CHANNELS PORTS RATE <<< "${load}"
        SUBSCRIBERS=${CHANNELS}
        say "${CHANNELS} channels on ${PORTS} ports, ${RATE} packets a second each"
        matrix
    done
    show_reports
    [ -n "${JSON}" ] || { echo; "${FANOUT}" receiving "${WORK}/reports"; }
}

# The same load in turn, recorded and not.
record_runs() {
    local turns=${REPEAT} turn
    REPEAT=1
    for ((turn = 1; turn <= turns; turn++)); do
        RECORD=; WHO=mirrorball
        matrix
        RECORD=$(mktemp -d "${RECORDS:-/tmp}/recordings.XXXXXX"); WHO="mirrorball, recording"
        matrix
        du -sh "${RECORD}" >&2
        rm -rf "${RECORD}"
    done
    show_reports
}

# The same channel watched live, as it was, and both beside each other.
past_runs() {
    local turns=${REPEAT} turn all=${SUBSCRIBERS} few=100
    REPEAT=1; GROUP=40 # a picture each 50 ms, or many of 1000 moments would be one
    for ((turn = 1; turn <= turns; turn++)); do
        RECORD=$(mktemp -d "${RECORDS:-/tmp}/recordings.XXXXXX")
        PAST=0; BESIDE=0; WHO="mirrorball, live"
        SUBSCRIBERS=${few} matrix
        SUBSCRIBERS=${all} matrix
        BACK=--back; WHO="mirrorball, back"
        for SUBSCRIBERS in ${all}; do # each begins in the past: a core that is nearly full takes no more of those
            SUBSCRIBERS=$((SUBSCRIBERS * 9 / 10)) matrix
        done
        PAST=60; BACK=; WHO="mirrorball, past"
        matrix
        BESIDE=${few}; WHO="mirrorball, both"
        for SUBSCRIBERS in ${all}; do
            SUBSCRIBERS=$((SUBSCRIBERS + few)) matrix
        done
        SUBSCRIBERS=${all}
        rm -rf "${RECORD}"
    done
    show_reports
}

# The same load with and without loss.
repair_runs() {
    for LOSE in ${LOSSES}; do
        say "${LOSE} % are lost"
        matrix
    done
    if [ -n "${JSON}" ]; then cat "${WORK}/reports"; else "${FANOUT}" repairs "${WORK}/reports"; fi
}

show_reports() {
    [ -z "${PICTURE}" ] || "${FANOUT}" picture "${WORK}/reports" > "${PICTURE}"
    if [ -n "${JSON}" ]; then cat "${WORK}/reports"; else "${FANOUT}" table "${WORK}/reports"; fi
}

# One run: the relay, then the receivers; the source begins when all of them are served.
measure() {
    local relay=$1 subscribers=$2 hold=$3
    start_relay "${relay}" "${subscribers}" "${hold}"
    if [ "${PAST}${BACK}" = 0 ]; then
        start_receivers "${relay}" "${subscribers}" "${hold}"
        start_source
    else
        start_source "$((PAST + SECONDS_EACH + 60))"
        sleep "$((PAST + 7))" # what is watched has to be there
        start_receivers "${relay}" "${subscribers}" "${hold}"
    fi
    finish_receivers "${relay}"
}

start_relay() {
    local relay=$1 subscribers=$2 hold=$3 tcp=()
    if [ "${relay}" = bare ]; then
        [ "${TRANSPORT}" = udp ] || tcp=(--tcp "${BARE_PORT}")
        "${FAVOURED[@]}" ip netns exec "${RELAY_NS}" taskset -c "${RELAY_CORES}" "${FANOUT}" bare --interface "${RELAY_IP}" \
            --channels "${CHANNELS}" --ports "${PORTS}" --subscribers "${subscribers}" --hold "${hold}" \
            --threads "${THREADS}" "${tcp[@]}" > "${WORK}/relay" 2>&1 &
    else
        write_config "${hold}"
        "${FAVOURED[@]}" ip netns exec "${RELAY_NS}" taskset -c "${RELAY_CORES}" \
            "${MIRRORBALL}" serve --config "${WORK}/mirrorball.toml" > "${WORK}/relay" 2>&1 &
    fi
    RELAY_PID=$!
    PIDS+=("${RELAY_PID}")
    echo "${RELAY_PID}" > "${WORK}/relay.pid"
    await "the relay listens" relay_listens "${relay}"
}

relay_listens() {
    case $1:${TRANSPORT} in
        bare:udp) in_relay ss -Hlun | grep -q ":5004 " ;;
        bare:*) in_relay ss -Hltn | grep -q ":${BARE_PORT} " ;;
        *) in_relay ss -Hltn | grep -q ":${RTSP_PORT} " ;;
    esac
}

start_receivers() {
    local relay=$1 subscribers=$2 hold=$3 where=() label=${3}
    if [ "${TRANSPORT}" = tls ]; then
        where=(--rtsp "${RELAY_IP}:${RTSPS_PORT}")
    elif [ "${relay}:${TRANSPORT}" = mirrorball:http ]; then
        where=(--http "${RELAY_IP}:${HTTP_PORT}")
    elif [ "${relay}" = mirrorball ]; then
        where=(--rtsp "${RELAY_IP}:${RTSP_PORT}")
    elif [ "${TRANSPORT}" != udp ]; then
        where=(--bare-tcp "${RELAY_IP}:${BARE_PORT}")
    fi
    [ "${hold}" = auto ] || label="${hold} ms"
    : > "${WORK}/receivers" # or those of the run before might be taken to be ready
    "${FAVOURED[@]}" ip netns exec "${VIEW_NS}" "${FANOUT}" receive --relay "${WHO:-${relay}}" --hold "${label}" \
        --transport "${TRANSPORT}" --subscribers "${subscribers}" --channels "${CHANNELS}" \
        --ports "${PORTS}" --rate "${RATE}" --seconds "${SECONDS_EACH}" --stall "${STALL}" --lose "${LOSE}" --past "${PAST}" --beside "${BESIDE}" ${BACK} \
        --relay-pid "${RELAY_PID}" --relay-core "${RELAY_CORES}" --core "${VIEW_CORE}" "${where[@]}" \
        > "${WORK}/receivers" &
    RECEIVERS_PID=$!
    PIDS+=("${RECEIVERS_PID}")
    await "all receivers are served" grep -qs ready "${WORK}/receivers"
}

start_source() {
    local seconds=${1:-$((SECONDS_EACH + 60))}
    ip netns exec "${VIEW_NS}" "${FANOUT}" source --interface "${VIEW_IP}" --channels "${CHANNELS}" --ports "${PORTS}" \
        --rate "${RATE}" --burst "${BURST}" --group "${GROUP}" --shape "${SHAPE}" --seconds "${seconds}" --core "${VIEW_CORE}" &
    SOURCE_PID=$!
    PIDS+=("${SOURCE_PID}")
}

finish_receivers() {
    wait "${RECEIVERS_PID}" || fail "$1: the receivers failed; the relay said: $(tail -n 5 "${WORK}/relay")"
    end "${SOURCE_PID}" "${RELAY_PID}"
    PIDS=()
    grep '^{' "${WORK}/receivers"
}

# Sessions are registered on a channel that has no source, while others play.
setup_run() {
    say "mirrorball, ${SUBSCRIBERS} subscribers play while ${SESSIONS} sessions are registered"
    start_relay mirrorball "${SUBSCRIBERS}" auto
    start_receivers mirrorball "${SUBSCRIBERS}" auto
    start_source
    sleep 3
    "${FAVOURED[@]}" ip netns exec "${VIEW_NS}" "${FANOUT}" register --rtsp "${RELAY_IP}:${RTSP_PORT}" \
        --count "${SESSIONS}" --relay-pid "${RELAY_PID}" --core "${VIEW_CORE}" &
    PIDS+=($!)
    wait "${PIDS[-1]}" || fail "sessions could not be registered; the relay said: $(tail -n 5 "${WORK}/relay")"
    finish_receivers mirrorball > "${WORK}/reports"
    cat "${WORK}/reports" >> "${KEEP:-/dev/null}"
    show_reports
}

# What is sent ends right behind the link, so that it is sending that is measured.
sockets_run() {
    local case
    in_view ip route delete local 10.9.0.0/16 dev lo
    in_view ip route add blackhole 10.9.0.0/16
    echo "| threads | sockets | messages a second | µs CPU per message |"
    echo "|---|---|---|---|"
    for case in "1 1" "2 2" "2 1"; do
        in_relay nice -n -20 "${FANOUT}" sockets --threads "${case% *}" --share "${case#* }" --seconds "${SECONDS_EACH}"
    done
}

await() {
    local what=$1 tries
    shift
    for ((tries = 0; tries < 600; tries++)); do
        "$@" && return
        kill -0 "${RELAY_PID}" 2> /dev/null || fail "the relay ended: $(tail -n 5 "${WORK}/relay")"
        sleep 0.1
    done
    fail "waited for a minute until ${what}"
}

# Ends processes of this script by their ids, gently first.
end() {
    local pid tries
    for pid in "$@"; do kill "${pid}" 2> /dev/null || true; done
    for pid in "$@"; do
        for ((tries = 0; tries < 50; tries++)); do
            kill -0 "${pid}" 2> /dev/null || break
            sleep 0.1
        done
        kill -9 "${pid}" 2> /dev/null || true
        wait "${pid}" 2> /dev/null || true
    done
}

clean_up() {
    trap - EXIT
    end "${PIDS[@]}"
    ip netns delete "${RELAY_NS}" 2> /dev/null || true
    ip netns delete "${VIEW_NS}" 2> /dev/null || true
    rm -rf "${WORK}" ${RECORD:+"${RECORD}"}
}

say() { echo "== $*" >&2; }
fail() { echo "fanout.sh: $*" >&2; exit 1; }

main "$@"; exit
