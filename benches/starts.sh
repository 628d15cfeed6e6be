# shellcheck shell=bash
# The mode `starts` of fanout.sh, which sources this: how soon viewers see a picture, by ffmpeg's decoder.

FILM_GROUP=239.10.1.1; FILM_PORT=5004

starts_usage() {
    cat <<'END'
options of starts; --hold, --mirrorball, --cores, --keep, --json and --picture as above; needs ffmpeg with libx264:

  --starts N             so many for each carrier, at random moments of half a second each (100)
  --carriers "C …"       udp, tcp, http ("udp tcp http"; http is left out where the relay has none)
  --subscribers N        so many play another channel meanwhile (100)
  --gop S                seconds between two pictures that a decoder can start at (2)
  --film FILE            a stream of one's own (MPEG-TS of a constant rate) instead of ffmpeg's test picture
  --label NAME           the relay's name in table and picture (mirrorball)
  --streams DIR          keeps what came to each start
  --kept "FILE …"        runs nothing: the table, and the picture, of what is kept in these files

A second table tells what those had who play another channel: while nobody starts, and while starts go on.
END
}

starts_runs() {
    local carrier
    make_film
    : > "${WORK}/starts"
    for carrier in ${CARRIERS}; do
        if [ "${carrier}" = http ] && [ -z "${HTTP}" ]; then
            say "http is left out: this relay has none"
            continue
        fi
        starts "${carrier}"
    done
    [ -z "${KEEP}" ] || cat "${WORK}/starts" >> "${KEEP}"
    show_starts "${WORK}/starts" "${KEEP:-${WORK}/starts}"
    [ -n "${JSON}" ] || { echo; "${FANOUT}" table "${WORK}/reports"; }
}

# What was run as a table, and all that is kept as a picture.
show_starts() {
    local reports=$1 drawn=$2
    # shellcheck disable=SC2086 # both may be several files
    [ -z "${PICTURE}" ] || "${FANOUT}" starts-picture ${drawn} > "${PICTURE}"
    # shellcheck disable=SC2086
    if [ -n "${JSON}" ]; then cat ${reports}; else "${FANOUT}" starts-table ${reports}; fi
}

# 25 pictures a second and sound in 4 Mb/s, closed groups of pictures, long enough for one carrier's starts.
make_film() {
    [ -z "${FILM}" ] || return 0
    FILM=${WORK}/film.ts
    say "a film is made"
    ffmpeg -nostdin -v error \
        -f lavfi -i "testsrc2=size=1280x720:rate=25,noise=alls=8:allf=t" \
        -f lavfi -i "sine=frequency=440:sample_rate=48000" -t $((STARTS / 2 + 15)) \
        -c:v libx264 -preset veryfast -pix_fmt yuv420p -g $((25 * GOP)) -keyint_min $((25 * GOP)) -sc_threshold 0 \
        -x264-params nal-hrd=cbr:open-gop=0 -b:v 3500k -maxrate 3500k -bufsize 1750k \
        -c:a mp2 -b:a 128k -muxrate 4000k -f mpegts "${FILM}"
}

# One carrier: what those have who play another channel while nobody starts, and then the starts.
starts() {
    local carrier=$1 port=${RTSP_PORT} streams=${STREAMS:-${WORK}/streams}
    [ "${carrier}" != http ] || port=${HTTP_PORT}
    say "${carrier}: ${SUBSCRIBERS} others while nobody starts"
    SECONDS_EACH=10; WHO="${LABEL}, nobody starts"
    measure mirrorball "${SUBSCRIBERS}" "${HOLDS}" >> "${WORK}/reports"
    say "${carrier}: ${STARTS} starts"
    SECONDS_EACH=$((STARTS / 2 + 5)); WHO="${LABEL}, starts over ${carrier}"
    start_relay mirrorball "${SUBSCRIBERS}" "${HOLDS}"
    start_receivers mirrorball "${SUBSCRIBERS}" "${HOLDS}"
    start_source
    start_film
    sleep 3 # the ring has a group of pictures, and what the others have is measured
    "${FAVOURED[@]}" ip netns exec "${VIEW_NS}" "${FANOUT}" starts --server "${RELAY_IP}:${port}" --channel film \
        --carrier "${carrier}" --starts "${STARTS}" --into "${streams}" --core "${VIEW_CORE}" &
    PIDS+=($!)
    wait "${PIDS[-1]}" || fail "${carrier}: a start failed; the relay said: $(tail -n 5 "${WORK}/relay")"
    finish_receivers mirrorball >> "${WORK}/reports"
    end "${FILM_PID}"
    say "${carrier}: a decoder judges what came"
    "${FANOUT}" starts-judge --from "${streams}" --carrier "${carrier}" --relay "${LABEL}" >> "${WORK}/starts"
}

start_film() {
    ip netns exec "${VIEW_NS}" "${FANOUT}" film --file "${FILM}" --group "${FILM_GROUP}:${FILM_PORT}" \
        --interface "${VIEW_IP}" --core "${VIEW_CORE}" &
    FILM_PID=$!
    PIDS+=("${FILM_PID}")
}
