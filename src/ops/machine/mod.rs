//! What this machine, as it is now, has for a config, and what is in its way there.

pub mod open_files; // the limit on open files, and what a config takes of it
pub mod socket_buffers; // the buffers of sockets, where they are smaller than was asked for

pub mod obstacles;
pub mod place; // where a group is joined // why something would not be received
