//! How streams come in.
