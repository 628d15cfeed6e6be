#!/usr/bin/env bash
# A soak: half the load that is promised (tests/all/load.rs), while viewers come and go, the config is read again, channels are
# shown in browsers and metrics scraped; memory, descriptors and threads over time, and what was lost. docs/performance.md
# says how to read it. Everything runs in a network namespace of its own; needs root, leaves nothing behind.
set -euo pipefail

usage() {
    cat <<'END'
usage: soak.sh [options]

  --minutes N        how long it lasts (60)
  --udp N, --tcp N   so many viewers who stay from the beginning to the end (100, 25)
  --mbit N           bit rate of the stream that they watch (8)
  --into DIRECTORY   where soak.csv, soak.svg and the log of the program go (target/soak)
  --mirrorball FILE  the program (target/release/mirrorball, which is built)

Ends with 0 if nothing was lost and all three are flat, with 1 otherwise.
END
}

readonly RTSP_PORT=8554 ADMIN_PORT=9470 SAMPLE_EVERY=10
readonly ADMIN="http://127.0.0.1:${ADMIN_PORT}" NEWS="rtsp://127.0.0.1:${RTSP_PORT}/news"

main() {
    options "$@"
    if [ -z "${SOAK_NAMESPACE:-}" ]; then
        [ "$(id -u)" -eq 0 ] || fail "needs root, for a network namespace: sudo $0 $*"
        for program in ip unshare ffmpeg curl awk; do
            command -v "${program}" > /dev/null || fail "needs ${program}"
        done
        build
        SOAK_NAMESPACE=yes MIRRORBALL=${MIRRORBALL} exec unshare --net "$0" "$@"
    fi
    mkdir -p "${INTO}"
    WORK=$(mktemp -d)
    PIDS=()
    trap clean_up EXIT
    trap 'exit 130' INT TERM
    ulimit -n "$(ulimit -Hn)"
    ip link set lo up
    ip route add 224.0.0.0/4 dev lo
    start_sources
    start_program
    start_viewers
    start_disturbances
    sample
    verdict
}

options() {
    MINUTES=60; UDP=100; TCP=25; MBIT=8; INTO=target/soak; MIRRORBALL=${MIRRORBALL:-}
    while [ $# -gt 0 ]; do
        case $1 in
            --minutes) MINUTES=$2; shift ;;
            --udp) UDP=$2; shift ;;
            --tcp) TCP=$2; shift ;;
            --mbit) MBIT=$2; shift ;;
            --into) INTO=$2; shift ;;
            --mirrorball) MIRRORBALL=$2; shift ;;
            *) usage; exit 2 ;;
        esac
        shift
    done
}

build() {
    [ -z "${MIRRORBALL}" ] || return 0
    cargo build --locked --release
    MIRRORBALL=$(cargo metadata --format-version 1 --no-deps | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')/release/mirrorball
}

say() { echo "$*" >&2; }
fail() { say "soak.sh: $*"; exit 1; }

in_background() {
    "$@" &
    PIDS+=("$!")
}

clean_up() {
    local status=$?
    trap - EXIT INT TERM
    # Those that loop first, so that they start nothing any more.
    for ((place = ${#PIDS[@]} - 1; place >= 0; place--)); do
        kill "${PIDS[place]}" 2> /dev/null || true
    done
    wait 2> /dev/null || true
    rm -rf "${WORK}"
    exit "${status}"
}

# Three streams of one film, over and over: the one that is watched, and two whose channels come and go.
start_sources() {
    say "a film is made"
    ffmpeg -nostdin -v error -f lavfi -i "testsrc2=size=1280x720:rate=25,noise=alls=8:allf=t" \
        -f lavfi -i "sine=frequency=440:sample_rate=48000" -t 20 \
        -c:v libx264 -preset veryfast -pix_fmt yuv420p -g 50 -b:v "$((MBIT * 900))k" -maxrate "$((MBIT * 900))k" \
        -bufsize "$((MBIT * 450))k" -c:a aac -muxrate "$((MBIT * 1000))k" -f mpegts "${WORK}/film.ts"
    local number
    for number in 1 2 3; do
        in_background ffmpeg -nostdin -v error -re -stream_loop -1 -i "${WORK}/film.ts" -map 0 -c copy \
            -f rtp_mpegts "rtp://239.77.0.${number}:5004?localaddr=127.0.0.1&ttl=0&pkt_size=1328"
    done
}

write_config() {
    local limit=$1 name; shift
    {
        printf '[rtsp]\nlisten = ["127.0.0.1:%s"]\n[admin]\nlisten = "127.0.0.1:%s"\n' "${RTSP_PORT}" "${ADMIN_PORT}"
        printf '[limits]\negress_mbit_per_address = 100000\nsessions_per_address = %s\n' "${limit}"
        printf '[[channel]]\nname = "news"\nsource = "rtp://239.77.0.1:5004"\ninterface = "lo"\n'
        for name in "$@"; do
            printf '[[channel]]\nname = "other%s"\nsource = "rtp://239.77.0.%s:5004"\ninterface = "lo"\n' "${name}" "${name}"
        done
    } > "${WORK}/new"
    mv "${WORK}/new" "${WORK}/mirrorball.toml"
}

start_program() {
    write_config 5000 2
    "${MIRRORBALL}" serve --config "${WORK}/mirrorball.toml" 2> "${INTO}/soak.log" &
    PROGRAM=$!
    PIDS+=("${PROGRAM}")
    local attempt
    for attempt in {1..100}; do
        curl -sf "${ADMIN}/ready" > /dev/null && return
        sleep 0.1
    done
    fail "it is not ready: $(tail -n 5 "${INTO}/soak.log")"
}

start_viewers() {
    SECONDS_LONG=$((MINUTES * 60))
    VIEWERS=()
    watch udp "${UDP}"
    watch tcp "${TCP}"
}

watch() {
    "${MIRRORBALL}" probe "${NEWS}" -n "$2" --transport "$1" --duration "${SECONDS_LONG}" --rate 50 --json \
        > "${WORK}/$1.json" 2> "${WORK}/$1.progress" &
    VIEWERS+=("$!")
    PIDS+=("$!")
}

# Each by itself, until the end; what they come to is not asked, as it is the others who may lose nothing.
start_disturbances() {
    in_background viewers_come_and_go
    in_background config_changes
    in_background browsers_look
    in_background metrics_are_scraped
}

# By turns over UDP and TCP; every third time they vanish without a word.
viewers_come_and_go() {
    local turn over
    for ((turn = 0; ; turn++)); do
        over=udp; [ $((turn % 2)) -eq 0 ] || over=tcp
        if [ $((turn % 3)) -eq 2 ]; then
            timeout -s KILL 4 "${MIRRORBALL}" probe "${NEWS}" -n 20 --transport "${over}" --duration 60
        else
            "${MIRRORBALL}" probe "${NEWS}" -n 20 --transport "${over}" --duration 3
        fi > /dev/null 2>&1 || true
        sleep 1
    done
}

config_changes() {
    local turn
    for ((turn = 0; ; turn++)); do
        sleep 7
        case $((turn % 3)) in
            0) write_config 5000 2 3 ;;
            1) write_config 4000 3 ;;
            2) write_config 5000 2 ;;
        esac
    done
}

browsers_look() {
    while sleep 3; do
        curl -s --max-time 5 "${ADMIN}/api/channels/news/preview.mp4" > /dev/null || true
    done
}

metrics_are_scraped() {
    while sleep 5; do
        curl -s --compressed "${ADMIN}/metrics" > /dev/null || true
    done
}

# Until the viewers who stay have ended.
sample() {
    local began=${SECONDS} due=0
    echo "seconds,rss_kib,descriptors,threads" > "${INTO}/soak.csv"
    while kill -0 "${VIEWERS[0]}" 2> /dev/null && kill -0 "${PROGRAM}" 2> /dev/null; do
        echo "$((SECONDS - began)),$(status VmRSS),$(descriptors),$(status Threads)" >> "${INTO}/soak.csv"
        due=$((due + SAMPLE_EVERY))
        # They may end meanwhile, which is looked for each second.
        while [ $((SECONDS - began)) -lt "${due}" ] && kill -0 "${VIEWERS[0]}" 2> /dev/null; do sleep 1; done
    done
    kill -0 "${PROGRAM}" 2> /dev/null || fail "the program has ended: $(tail -n 5 "${INTO}/soak.log")"
    wait "${VIEWERS[@]}" || say "a probe was not content"
}

status() { awk -v name="$1:" '$1 == name { print $2 }' "/proc/${PROGRAM}/status"; }
descriptors() { find "/proc/${PROGRAM}/fd" -mindepth 1 -maxdepth 1 2> /dev/null | wc -l; }

# The first minute is that of those who come; of the rest, whether the second half grew.
verdict() {
    local lost=0 over wrong
    curl -s "${ADMIN}/metrics" > "${WORK}/metrics"
    for over in udp tcp; do
        wrong=$(($(count "${over}" lost) + $(count "${over}" failed)))
        say "${over}: $(count "${over}" served) viewers, $(count "${over}" packets) packets, lost or failed: ${wrong}"
        lost=$((lost + wrong))
    done
    awk '/^mirrorball_(config_reloads_total|previews_total|channel_lost_total|receive_queue_overflow_total|drops_total.*overrun)/ { print "  " $0 }' \
        "${WORK}/metrics" >&2
    draw "${INTO}/soak.csv" > "${INTO}/soak.svg"
    flat "${INTO}/soak.csv" || lost=$((lost + 1))
    [ "${lost}" -eq 0 ] && say "passed: nothing lost, nothing grew" || fail "something was lost, or grew"
}

# A number of a probe's report; a report that is missing is one that failed.
count() {
    local found
    found=$(grep -oE "\"$2\": ?[0-9]+" "${WORK}/$1.json" | head -n 1 | grep -oE '[0-9]+$' || true)
    echo "${found:-1}"
}

# By a straight line through the second half: what it rises from its beginning to its end may be what comes and goes anyway.
flat() {
    awk -F, '
        NR > 1 { n++; at[n] = $1; for (c = 2; c <= 4; c++) value[n, c] = $c }
        END {
            split(",memory in KiB,descriptors,threads", name, ",")
            split(",1024,8,1", spare, ","); first = int(n / 2) + 1; bad = 0
            if (n - first < 3) { print "too few samples to tell" > "/dev/stderr"; exit 1 }
            for (c = 2; c <= 4; c++) {
                m = sx = sy = sxx = sxy = 0
                for (i = first; i <= n; i++) {
                    m++; sx += at[i]; sy += value[i, c]; sxx += at[i] ^ 2; sxy += at[i] * value[i, c]
                }
                rise = (m * sxy - sx * sy) / (m * sxx - sx ^ 2) * (at[n] - at[first])
                most = spare[c] + 0.03 * sy / m
                verdict = rise > most ? "GROWS" : "flat"
                if (rise > most) bad = 1
                printf "%s: %s, %+.1f over the second half, of %.0f (up to %.1f is what comes and goes)\n", \
                    name[c], verdict, rise, sy / m, most > "/dev/stderr"
            }
            exit bad
        }' "$1"
}

draw() {
    awk -F, '
        NR > 1 { n++; at[n] = $1; for (c = 2; c <= 4; c++) { v = c == 2 ? $c / 1024 : $c; value[n, c] = v; if (v > top[c]) top[c] = v } }
        END {
            name[2] = "resident memory, MiB"; name[3] = "descriptors"; name[4] = "threads"
            colour[2] = "#1f77b4"; colour[3] = "#d9660a"; colour[4] = "#2a8a3e"
            print "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 760 500\" font-family=\"sans-serif\" font-size=\"12\">"
            print "<rect width=\"760\" height=\"500\" fill=\"#fff\"/>"
            for (c = 2; c <= 4; c++) {
                base = (c - 1) * 155; high = 110; full = top[c] > 0 ? top[c] * 1.15 : 1
                printf "<text x=\"60\" y=\"%d\">%s (at most %.0f)</text>\n", base - high - 8, name[c], top[c]
                printf "<path d=\"M60 %dV%dH740\" fill=\"none\" stroke=\"#999\"/>\n", base - high, base
                printf "<text x=\"52\" y=\"%d\" text-anchor=\"end\">0</text>\n", base
                printf "<text x=\"52\" y=\"%d\" text-anchor=\"end\">%.0f</text>\n", base - high + 10, full
                printf "<polyline fill=\"none\" stroke-width=\"1.5\" stroke=\"%s\" points=\"", colour[c]
                for (i = 1; i <= n; i++) printf "%.1f,%.1f ", 60 + 680 * at[i] / (at[n] ? at[n] : 1), base - high * value[i, c] / full
                print "\"/>"
            }
            printf "<text x=\"60\" y=\"485\">0</text><text x=\"740\" y=\"485\" text-anchor=\"end\">%.0f min</text>\n</svg>\n", at[n] / 60
        }' "$1"
}

main "$@"
