# shellcheck shell=bash
# The mode `storm` of fanout.sh, which sources this: viewers come or go all at once while others play.

storm_usage() {
    cat <<'END'
options of storm; --subscribers, --hold, --rate, --shape, --repeat, --cores, --json and --keep are as above:

  --subscribers "N …"    viewers who join at once (1000 3000)
  --others N             viewers who play another channel meanwhile (300)
  --transport udp|tcp    how media comes to all of them (udp)
  --leave teardown|close the N play already, and leave at once
  --restart              all play already; the relay is killed and started again
  --concurrent N         handshakes under way at a time (256)
  --seconds S            how long each calm is measured, before the storm and after it (5)
  --settle S             how long all have to settle before a calm (10)
  --label NAME           the relay's name in table and picture (mirrorball)
END
}

storm_runs() {
    local subscribers hold turn
    : > "${WORK}/reports"
    for subscribers in ${SUBSCRIBERS}; do
        for hold in ${HOLDS}; do
            for ((turn = 1; turn <= REPEAT; turn++)); do
                say "storm (${STORM}): ${subscribers} viewers over ${TRANSPORT}, ${OTHERS} others, run ${turn} of ${REPEAT}"
                storm "${subscribers}" "${hold}" >> "${WORK}/reports"
            done
        done
    done
    show_storms
}

show_storms() {
    [ -z "${KEEP}" ] || cat "${WORK}/reports" >> "${KEEP}"
    if [ -n "${JSON}" ]; then cat "${WORK}/reports"; else "${FANOUT}" storm-table "${WORK}/reports"; fi
}

# One run: the viewers see the storm through, but for the relay that is to be started again.
storm() {
    local subscribers=$1 hold=$2
    start_relay mirrorball "${subscribers}" "${hold}"
    start_source
    start_storm "${subscribers}" "${hold}"
    [ "${STORM}" != restart ] || start_relay_again "${subscribers}" "${hold}"
    finish_receivers mirrorball
}

start_storm() {
    local subscribers=$1 hold=$2 label=$2
    [ "${hold}" = auto ] || label="${hold} ms"
    "${FAVOURED[@]}" ip netns exec "${VIEW_NS}" "${FANOUT}" storm --kind "${STORM}" --transport "${TRANSPORT}" \
        --rtsp "${RELAY_IP}:${RTSP_PORT}" --viewers "${subscribers}" --others "${OTHERS}" \
        --concurrent "${CONCURRENT}" --seconds "${SECONDS_EACH}" --settle "${SETTLE}" \
        --relay-pid "${WORK}/relay.pid" --relay-core "${RELAY_CORE}" --source-pid "${SOURCE_PID}" \
        --core "${VIEW_CORE}" --relay "${LABEL}" --hold "${label}" > "${WORK}/receivers" &
    RECEIVERS_PID=$!
    PIDS+=("${RECEIVERS_PID}")
}

# The viewers kill the relay when their time has come, so that they know it to the millisecond.
start_relay_again() {
    wait -n "${RELAY_PID}" "${RECEIVERS_PID}" || true
    ! kill -0 "${RELAY_PID}" 2> /dev/null || fail "the viewers ended too early"
    start_relay mirrorball "$1" "$2"
}
