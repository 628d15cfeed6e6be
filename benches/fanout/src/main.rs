//! The fan-out benchmark's programs, one a subcommand; `benches/fanout.sh` runs them in network namespaces.
//!
//! ```text
//!  source ──multicast──▶ bare | mirrorball ──unicast──▶ receive ──▶ one report a line ──▶ table
//! ```

mod address_plan;
mod bare;
mod bare_tcp;
mod bare_udp;
mod dialogue;
mod histogram;
mod http;
mod http_view;
mod interleaved;
mod ledger;
mod losses;
mod mark;
mod picture;
mod proc_files;
mod receive;
mod receiving;
mod register;
mod repairs;
mod report;
mod rtsp;
mod sockets;
mod source;
mod starts;
mod storm;
mod stream;
mod sys;
mod table;
mod tcp_view;
mod udp_sockets;
mod udp_view;

use clap::Parser;

/// Measures what it costs to reflect one multicast packet to many subscribers.
#[derive(Parser)]
enum Command {
    /// Multicasts marked RTP packets at an even pace.
    Source(source::Options),
    /// Relays with bare system calls and nothing else: the floor of what a relay can cost.
    Bare(bare::Options),
    /// Stands for all subscribers, and reports loss, delay and the relay's CPU.
    Receive(receive::Options),
    /// Registers many sessions at once, and reports their rate and the relay's memory.
    Register(register::Options),
    /// Sends from several cores over one socket, or over several.
    Sockets(sockets::Options),
    /// Stands for viewers who come, go or make noise all at once while others play.
    Storm(storm::Options),
    /// Prints reports as a Markdown table.
    Table(table::Options),
    /// Prints reports as a Markdown table of what it costs to receive.
    Receiving(table::Options),
    /// Prints reports as a Markdown table of what it costs that packets are lost and asked for again.
    Repairs(table::Options),
    /// Prints reports as a picture (SVG): delay and CPU by subscribers.
    Picture(table::Options),
    /// Prints reports of storms as a Markdown table.
    StormTable(storm::TableOptions),
    /// Prints reports of storms as a picture (SVG): p99 over time.
    StormPicture(storm::TableOptions),
    /// Multicasts a transport stream from a file.
    Film(starts::FilmOptions),
    /// Stands for viewers who start at random moments, and keeps what comes to them.
    Starts(starts::Options),
    /// Reports when a decoder had a picture of what came to each start.
    StartsJudge(starts::JudgeOptions),
    /// Prints reports of starts as a Markdown table.
    StartsTable(starts::TableOptions),
    /// Prints reports of starts as a picture (SVG): pictures over time.
    StartsPicture(starts::TableOptions),
}

fn main() -> std::io::Result<()> {
    match Command::parse() {
        Command::Source(options) => source::run(&options),
        Command::Bare(options) => bare::run(&options),
        Command::Receive(options) => receive::run(&options),
        Command::Register(options) => register::run(&options),
        Command::Sockets(options) => sockets::run(&options),
        Command::Storm(options) => storm::run(&options),
        Command::Table(options) => table::run(&options),
        Command::Receiving(options) => receiving::run(&options),
        Command::Repairs(options) => repairs::run(&options),
        Command::Picture(options) => picture::run(&options),
        Command::StormTable(options) => storm::table(&options),
        Command::StormPicture(options) => storm::picture(&options),
        Command::Film(options) => starts::film(&options),
        Command::Starts(options) => starts::run(&options),
        Command::StartsJudge(options) => starts::judge(&options),
        Command::StartsTable(options) => starts::table(&options),
        Command::StartsPicture(options) => starts::picture(&options),
    }
}
