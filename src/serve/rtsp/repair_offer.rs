//! Who is offered to have again what it has lost as a stream of its own (RFC 4588). Others drop a medium whose profile or payload types
//! they do not know, as VLC and all that stand on live555 do: so it is for those alone who are known to take it.

/// How their `User-Agent` begins.
const TAKES_IT: [&str; 1] = ["GStreamer/"];

/// Whether a client takes it.
pub fn takes_rtx(agent: Option<&str>) -> bool {
    agent.is_some_and(|agent| TAKES_IT.iter().any(|known| agent.starts_with(known)))
}
