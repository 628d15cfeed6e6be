//! Bytes to values and back, sans-IO: no descriptor, clock, thread or lock in here.
