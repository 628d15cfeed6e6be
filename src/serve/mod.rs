//! How viewers are served.
