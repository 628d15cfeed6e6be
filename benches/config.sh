# shellcheck shell=bash
# What Mirrorball is told to serve: its configuration in fanout.sh, which sources this.

write_config() {
    local hold=$1 channel group
    {
        printf '[rtsp]\nlisten = ["%s:%s"]\n' "${RELAY_IP}" "${RTSP_PORT}"
        [ "${TRANSPORT}" != tls ] && [ "${STORM}" != hostile ] || write_certificate
        printf '[engine]\nmedia_workers = %s\n' "${THREADS}"
        printf '[admin]\nlisten = "%s:%s"\n' "${RELAY_IP}" "${ADMIN_PORT}"
        printf '[limits]\nconnections = 60000\nsessions = 60000\nsessions_per_address = 60000\n'
        printf 'connections_per_address = 60000\negress_mbit_per_address = 1000000\n'
        [ -z "${RECORD}" ] || printf '[storage]\ndirectory = "%s"\nmin_free_bytes = 0\nviewers = 100000\n' "${RECORD}"
        for ((channel = 0; channel < CHANNELS; channel++)); do
            group=239.9.$((1 + (channel + 1) / 256)).$(((channel + 1) % 256))
            write_channel "c${channel}" "${group}" $((5004 + 2 * (channel % PORTS))) "${hold}"
        done
        write_channel idle 239.10.0.1 5004 auto
        [ "${MODE}" != starts ] || write_channel film "${FILM_GROUP}" "${FILM_PORT}" "${hold}"
        [ -z "${HTTP}" ] || write_http
    } > "${WORK}/mirrorball.toml"
}

write_http() { printf '[http]\nlisten = ["%s:%s"]\n' "${RELAY_IP}" "${HTTP_PORT}"; }

# Earlier relays serve no HTTP.
find_http() {
    local verdict
    [ "${MODE}" = http ] || [ "${MODE}" = starts ] || return 0
    [ "${ONLY}" != bare ] || return 0
    write_http > "${WORK}/http.toml"
    verdict=$("${MIRRORBALL}" check --config "${WORK}/http.toml" 2>&1 || true)
    if [[ ${verdict} != *"key \`http\`"* ]]; then
        HTTP=yes
    elif [ "${MODE}" = http ]; then
        fail "this relay serves no HTTP"
    fi
}

# A pair as certificate authorities issue it today, and where it is served with.
write_certificate() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=edge -days 2 \
        -keyout "${WORK}/edge.key" -out "${WORK}/edge.pem" 2> /dev/null
    chmod 600 "${WORK}/edge.key"
    printf 'tls_listen = ["%s:%s"]\ncertificate = "edge.pem"\nprivate_key = "edge.key"\n' "${RELAY_IP}" "${RTSPS_PORT}"
}

write_channel() {
    local name=$1 group=$2 port=$3 hold=$4
    printf '[[channel]]\nname = "%s"\ninterface = "%s"\n' "${name}" "${RELAY_IP}"
    if [ "${SHAPE}" = ts ]; then
        printf 'source = "rtp://%s:%s"\n' "${group}" "${port}"
    elif [ "${SHAPE}" = raw ]; then
        printf 'source = "udp://%s:%s"\n' "${group}" "${port}"
    else
        printf 'v=0\r\no=- 1 1 IN IP4 %s\r\ns=%s\r\nc=IN IP4 %s/4\r\nt=0 0\r\nm=video %s RTP/AVP 96\r\n%s\r\n' \
            "${VIEW_IP}" "${name}" "${group}" "${port}" "a=rtpmap:96 H264/90000" > "${WORK}/${name}.sdp"
        printf 'sdp = "%s.sdp"\n' "${name}"
    fi
    [ -z "${RECORD}" ] || printf 'record = "10min"\n'
    case ${hold} in
        auto) ;;
        *) printf 'coalesce = "%sms"\n' "${hold}" ;;
    esac
}
