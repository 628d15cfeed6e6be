//! Mirrorball joins IP multicast groups once and reflects every packet, bit-exact, to unicast
//! subscribers who ask for it over RTSP or HTTP.
//!
//! The modules in reading order. A floor imports only floors below it; `wire` and `net` never meet,
//! nor do `ingest` and `serve` (held by `tests/tidy.rs`). `docs/architecture.md` draws the house.

pub mod wire; // 0: bytes <-> values; no fd, clock, thread or lock

pub mod net; // 0: sockets and system calls, the only `unsafe`; knows no protocol

pub mod event; // 1: poller, poll tables, tasks, timers; knows no protocol

pub mod relay; // 2: channel, track, ring, lane, subscriber, catalogue

pub mod ingest; // 3: how streams come in

pub mod storage; // 3: what channels keep on disk

pub mod serve; // 4: how viewers are served

pub mod ops; // 5: the config, the machine, the log, what runs, and what watches it

pub mod tools; // 6: the command line, and what each command does
