//! Sockets and system calls, and the only `unsafe` of the program. Knows no protocol above UDP and TCP.
