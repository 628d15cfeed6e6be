//! The stories: the real program, real sockets, and in the end real players.
//!
//! Each story starts a program of its own on free ports of loopback, so all run beside each other. With
//! `CI=true` they are told at full length, and one that can not be told fails.

mod admission; // who is taken on, and that who is in loses nothing by who is not
mod advice; // what an operator is told of a config, a machine and a log
mod alerts; // five faults, each with its own alert of a real Prometheus; and what dashboards ask for
mod announced; // sessions that are announced by SAP, and channels that are
mod api; // what operators see and change, by programs
mod bare; // transport streams that come without RTP
mod browser; // the status page in Chromium
mod carriers; // TLS, tunnels and both, where plain connections are served too
mod catch_up; // what was on, over HTTP
mod changes; // SETUP again: other ports, other channels, another way
mod check; // what `mirrorball check` finds on a machine, and what it makes of it
mod clients; // what clients of others send, as data
mod containers; // what is read of MP4 and QuickTime files, before ffprobe
mod conversation; // requests and replies, from OPTIONS to TEARDOWN
mod crowds; // many viewers: who stays loses nothing, who leaves frees everything
mod demand; // channels that are joined for who watches, and no longer
mod directories; // descriptions that are put into a directory, change and go
mod drain; // an edge is taken out, and nobody cut off
mod fast_start; // a picture at once: where viewers begin, and how they are brought level
mod films; // what browsers are to play, before ffmpeg and ffprobe
mod hostile; // strangers who mean no good: floods, trickles, no descriptors left
mod http; // transport streams over HTTP, and lists of them
mod http_kept; // one connection for many requests over HTTP
mod http_players; // channels, groups and playlists in clients of others
mod ipv6; // IPv6, wherever IPv4 works
mod killed; // killed, and started again as the unit says
mod kinds; // every kind of source, of ffmpeg to ffprobe
mod legs; // channels that come by several legs, merged or one after the other
mod library; // films: files that are played
mod listen; // what a group carries, told before there is a config
mod lives; // sessions: silence, signs of life, goodbyes
mod load; // the load that the first release promises
mod logins; // who may log in, and who may not
mod logs; // a log, and other output, that nobody takes
mod matrix; // real clients over every carriage, and the table of them; proxies
mod membership; // what the network is told of groups, while links flap and while no querier asks
mod memory; // no more of it than a cgroup has
mod multicast_out; // channels that go to a group, for those who ask
mod nat; // viewers behind a NAT, and those for whom UDP gets nowhere
mod networks; // groups, sources and interfaces
mod noise; // random bytes on every port
mod origin; // a server to be pulled from
mod outages; // what the network forgets, and interfaces and routes that come, go and move
mod past; // what was on, over RTSP: moments, pauses, jumps
mod paths; // what lies between the edge and its viewers: small MTUs, large packets, classes of service
mod payloads; // what RTP carries of files: packed here, or as they are hinted
mod players; // ffmpeg, GStreamer and retina
mod previews; // channels as browsers play them, by the admin endpoint
mod program; // exit codes, signals and the demo
mod pull; // channels that come from other servers
mod raw; // transport streams without RTP, for set-top boxes
mod recording; // what channels keep on disk, whatever happens to the program or the disk
mod refusals; // every code that a request can earn
mod reload; // another config while viewers watch
mod repair; // what a viewer over UDP has lost, and asks for again
mod returns; // connections that come and go, and sessions that stay
mod senders; // who sends to a group: neighbours, two at once, nobody
mod shown; // films as channels, and what stands by for sources
mod silence; // streams that stop, and how it is told
mod slow_web; // a viewer over HTTP that takes half of what comes
mod sources; // sources that stop, return and report
mod starts; // where streams can be started with, beside what ffprobe says, and who falls behind
mod strangers; // what is sent to who has proved nothing
mod supervision; // whoever starts the program and watches over it
mod top; // `mirrorball top`, as text and in a terminal
mod upgrade; // another process takes over while viewers watch
mod vanishing; // viewers whose port, host or attention is gone
mod viewers_log; // what the log tells of each viewer, and never tells
mod vocabulary;
mod wall_clock; // the time of day, when it is set
