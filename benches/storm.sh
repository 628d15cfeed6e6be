# shellcheck shell=bash
# The mode `storm` of fanout.sh, which sources this: viewers come, go or make noise all at once while others play.

storm_usage() {
    cat <<'END'
options of storm; --subscribers, --hold, --rate, --shape, --no-gso, --repeat, --mirrorball, --cores and --json as above:

  --others N             so many play another channel all the time (300; 0 with --noise)
  --transport udp|tcp    how media comes to all of them (udp)
  --within S             the viewers begin to join within S seconds, not all at once (0)
  --leave teardown|close the viewers play already, and leave at once
  --restart              all play already; the relay is killed and started again
  --zap N                all play already, 300 others and 1000 viewers, on N channels of 4.2 Mb/s (--rate 400) where a decoder
                         could start each 2 s (--gop); the viewers change to another one within 2 s (--within)
  --noise KIND           nobody comes or goes (300 viewers), but for 10 s there are
                         reports   10000 RTCP receiver reports a second of those who play
                         describe  DESCRIBE on 64 connections, as fast as it is answered
                         scrape    scrapes of /metrics, back to back
                         connect   connections that are closed as soon as they are made, back to back
                         hostile   for 60 s: 2000 connections of ten bad kinds, each made again as soon as it is closed
  --concurrent N         handshakes under way at a time (256)
  --seconds S            how long each calm is measured, before the storm and after it (5)
  --settle S             how long all have to settle before a calm (10)
  --label NAME           the relay's name in table and picture (mirrorball)
  --picture FILE         draws p99 over time (SVG), a line for each run; with --keep FILE also for those kept there
  --kept "FILE …"        runs nothing: the table, and the picture, of what is kept in these files

Delays are told in slices of 250 ms by the time of sending. Worst: the slice of the highest p99 from the storm's beginning
until the calm after it. Before and after: the median slice of a calm; meanwhile: all that was sent until the storm was over.
Ratio and late (p99 above twice that of calm) are by the calm after; where viewers leave or there is noise, by the one before. Two values with a / between them are those
of the viewers and of the others.
END
}

storm_defaults() {
    SUBSCRIBERS=${SUBSCRIBERS:-${NOISE:+300}}
    SUBSCRIBERS=${SUBSCRIBERS:-${ZAP:+1000}}
    SUBSCRIBERS=${SUBSCRIBERS:-1000 3000}
    OTHERS=${OTHERS:-${NOISE:+0}}
    OTHERS=${OTHERS:-300}
    if [ -n "${ZAP}" ]; then
        CHANNELS=${ZAP}; GROUP=$((GOP * RATE))
    else
        CHANNELS=$((OTHERS > 0 ? 2 : 1))
    fi
}

storm_runs() {
    local subscribers hold turn
    : > "${WORK}/reports"
    for subscribers in ${SUBSCRIBERS}; do
        for hold in ${HOLDS}; do
            for ((turn = 1; turn <= REPEAT; turn++)); do
                say "${STORM}: ${subscribers} viewers over ${TRANSPORT}, ${OTHERS} others, run ${turn} of ${REPEAT}"
                storm "${subscribers}" "${hold}" >> "${WORK}/reports"
            done
        done
    done
    [ -z "${KEEP}" ] || cat "${WORK}/reports" >> "${KEEP}"
    show_storms "${WORK}/reports" "${KEEP:-${WORK}/reports}"
}

# What was run as a table, and all that is kept as a picture.
show_storms() {
    local reports=$1 drawn=$2
    # shellcheck disable=SC2086 # both may be several files
    [ -z "${PICTURE}" ] || "${FANOUT}" storm-picture ${drawn} > "${PICTURE}"
    # shellcheck disable=SC2086
    if [ -n "${JSON}" ]; then cat ${reports}; else "${FANOUT}" storm-table ${reports}; fi
}

# One run: the viewers see the storm through, but for the relay that is to be started again.
storm() {
    local subscribers=$1 hold=$2
    start_relay mirrorball "${subscribers}" "${hold}"
    start_source 3600
    start_storm "${subscribers}" "${hold}"
    [ "${STORM}" != restart ] || start_relay_again "${subscribers}" "${hold}"
    finish_receivers mirrorball
}

start_storm() {
    local subscribers=$1 hold=$2 label=$2 zap=()
    [ "${hold}" = auto ] || label="${hold} ms"
    [ -z "${ZAP}" ] || zap=(--zap "${ZAP}")
    "${FAVOURED[@]}" ip netns exec "${VIEW_NS}" "${FANOUT}" storm --kind "${STORM}" --transport "${TRANSPORT}" \
        --rtsp "${RELAY_IP}:${RTSP_PORT}" --rtsps "${RELAY_IP}:${RTSPS_PORT}" --admin "${RELAY_IP}:${ADMIN_PORT}" \
        --viewers "${subscribers}" --others "${OTHERS}" --concurrent "${CONCURRENT}" --within "${WITHIN}" \
        --seconds "${SECONDS_EACH}" --settle "${SETTLE}" "${zap[@]}" \
        --relay-pid "${WORK}/relay.pid" --relay-core "${RELAY_CORES}" --source-pid "${SOURCE_PID}" \
        --core "${VIEW_CORE}" --relay "${LABEL}" --hold "${label}" > "${WORK}/receivers" &
    RECEIVERS_PID=$!
    PIDS+=("${RECEIVERS_PID}")
}

# The viewers kill the relay when their time has come, so that they know it to the millisecond.
start_relay_again() {
    { wait -n "${RELAY_PID}" "${RECEIVERS_PID}" || true; } 2> /dev/null
    ! kill -0 "${RELAY_PID}" 2> /dev/null || fail "the viewers ended too early"
    start_relay mirrorball "$1" "$2"
}
