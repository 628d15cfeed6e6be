//! What operators see of the program, by the admin endpoint.

pub mod vital; // what is watched over

pub mod metrics; // every metric by name

pub mod readiness; // whether what is configured is served

pub mod api; // what may be called, and what comes of it

pub mod admin; // the HTTP endpoint for scrapes and probes, on its own thread

pub mod watch; // whether the parts move: systemd is told, and who stands still is ended
