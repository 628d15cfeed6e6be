//! What this machine, as it is now, has for a config, and what is in its way there.
//!
//! Each file looks at one thing and says what it found; `survey` puts it together. A config may be for another machine, or for what
//! is yet to be plugged in: nothing of this is an error of it.

pub mod finding; // what was found, how it is, and what to do

mod settings; // the kernel's settings, by name

pub mod place; // where a group is joined

mod receptions; // all that is received, and where

mod holders; // who has a port

mod listening; // addresses to be listened on
mod udp_ports; // ports that media leaves from, and comes to

mod interfaces; // whether they are there, and up
mod memberships; // groups and senders of one socket
mod permissions; // who asks
mod querier; // who asks the network for its groups
mod reverse_path; // what the kernel drops of those who are elsewhere
mod time_of_day; // the clock, and the certificate

pub mod open_files; // the limit on open files, and what a config takes of it
pub mod socket_buffers; // the buffers of sockets, where they are smaller than was asked for

mod libraries; // whether films may be read
pub mod recordings; // where they are, the room there, what is kept

mod kernel_limits; // these, and other settings of the kernel

mod survey; // all of it

pub use survey::survey;
