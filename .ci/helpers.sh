# What the scripts here share. Sourced by them, from the repository's root.

# Runs one step, and says what it was and how long it took.
step() {
    local name=$1 began=${SECONDS}
    shift
    echo "== ${name}"
    # In a condition or after || the shell would go on past a failure inside of a function.
    "$@"
    echo "== ${name}: $((SECONDS - began)) s"
}

skipped() {
    echo "SKIPPED: $1"
}

# What may need a network that is not there: bounded, and no failure of ours.
attempt() {
    timeout 180 "$@" > /dev/null 2>&1
}

# Builds a tool of cargo's, quickly rather than fast.
cargo_tool() {
    timeout 600 cargo install --locked --quiet --debug "$1"
}

# The system's own programs are in sbin, which a user's path may lack.
on_path() {
    PATH="${PATH}:/usr/sbin:/sbin" command -v "$1" > /dev/null
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

# The packages of program:package pairs whose programs are not here, one a line.
missing_of() {
    local pair
    for pair in "$@"; do
        on_path "${pair%%:*}" || echo "${pair##*:}"
    done
}

# Installs Debian's packages, if any are named.
install_from_debian() {
    if [ $# -eq 0 ]; then
        echo "nothing is missing"
        return
    fi
    echo "missing: $*"
    as_root apt-get update -q
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@"
}
