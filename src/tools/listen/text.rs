//! The report for people.

use std::fmt;
use std::time::Duration;

use super::super::demo::grouped;
use super::super::probe::bits;
use crate::serve::legible;
use crate::wire::psi::Programme;

use super::hearing::{Control, Hearing, Verdict};
use super::report::{Heard, Report};
use super::sender::{Sender, Stream};
use super::survey::{Pid, Survey};

/// The most rows of PIDs; JSON has all that are told apart.
const MAX_ROWS: usize = 64;

type Row = (&'static str, String);

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ended = if self.is_interrupted { ", interrupted" } else { "" };
        for track in &self.tracks {
            let seconds = self.length.as_secs_f64();
            let media = legible(&track.hearing.description.media);
            writeln!(f, "\n{} ({media}), {seconds:.1} s{ended}\n", track.group())?;
            rows(track, self.ended)
                .iter()
                .try_for_each(|(name, value)| writeln!(f, "  {name:<12} {value}"))?;
        }
        Ok(())
    }
}

fn rows(track: &Heard, ended: Duration) -> Vec<Row> {
    let Hearing { senders, of_more_senders, control, .. } = &track.hearing;
    let verdict = match track.hearing.verdict() {
        Verdict::AsSaid => "what the source says",
        Verdict::SomethingElse => "something else than the source says",
        Verdict::Nothing => "nothing",
    };
    let mut rows = vec![("heard", verdict.to_owned())];
    for (address, sender) in senders {
        rows.push(("sender", address.to_string()));
        rows.extend(of_sender(sender, ended));
    }
    if *of_more_senders > 0 {
        rows.push(("senders", format!("more of them, with {} packets", grouped(*of_more_senders))));
    }
    rows.extend(of_control(control));
    rows.extend(track.notes().into_iter().map(|note| ("note", note)));
    rows
}

fn of_sender(sender: &Sender, ended: Duration) -> Vec<Row> {
    let rate = sender.bit_rate(ended);
    let between = rate.extremes.map_or(String::new(), |(slowest, fastest)| {
        format!(", {} to {} within a second", bits(slowest), bits(fastest))
    });
    let sizes = match sender.sizes {
        (smallest, largest) if smallest == largest => format!("of {largest} each"),
        (smallest, largest) => format!("of {smallest} to {largest} each"),
    };
    let mut rows = vec![
        ("packets", format!("{}, {} bytes, {sizes}", grouped(sender.packets), grouped(sender.bytes))),
        ("bit rate", format!("{}{between}", bits(rate.mean))),
    ];
    rows.extend(
        sender.not_taken.iter().map(|(kind, count)| ("not taken", format!("{}: {kind}", grouped(*count)))),
    );
    rows.extend(sender.streams.iter().map(|stream| ("RTP", of_stream(stream))));
    if sender.of_more_ssrcs > 0 {
        rows.push(("RTP", format!("of more SSRCs: {} packets", grouped(sender.of_more_ssrcs))));
    }
    if sender.survey.packets > 0 {
        rows.extend(of_survey(&sender.survey));
    }
    rows
}

fn of_stream(stream: &Stream) -> String {
    let reception = &stream.reception;
    let types: Vec<_> = stream.payload_types.iter().map(ToString::to_string).collect();
    let jitter = reception
        .jitter_seconds()
        .map_or("jitter not known".to_owned(), |seconds| format!("jitter {:.2} ms", seconds * 1e3));
    let restarts = match reception.restarts() {
        0 => String::new(),
        times => format!(", numbering begun anew {times} times"),
    };
    format!(
        "SSRC {:#010x}, payload type {}: {} lost, {} reordered, {} duplicates, {} marked, {jitter}{restarts}",
        stream.ssrc,
        types.join(" and "),
        grouped(reception.missing()),
        grouped(reception.reordered()),
        grouped(reception.duplicates()),
        grouped(stream.marked),
    )
}

fn of_survey(survey: &Survey) -> Vec<Row> {
    let sizes: Vec<_> = survey.sizes.iter().map(ToString::to_string).collect();
    let mut whole = format!(
        "{} packets of {} bytes, {} null",
        grouped(survey.packets),
        sizes.join(" and "),
        percent(survey.share(survey.nulls()))
    );
    for (count, what) in [
        (survey.sum(|pid| pid.continuity_errors), "continuity errors"),
        (survey.sum(|pid| pid.scrambled), "scrambled"),
        (survey.sum(|pid| pid.broken), "with transport errors"),
        (survey.unreadable, "that make no sense"),
        (survey.psi.damaged(), "damaged tables"),
    ] {
        if count > 0 {
            whole += &format!(", {} {what}", grouped(count));
        }
    }
    let mut rows = vec![("MPEG-TS", whole)];
    if survey.psi.programmes().next().is_none() {
        rows.push(("programme", "none is listed: no PAT that can be read came".to_owned()));
    }
    rows.extend(
        survey.psi.programmes().map(|(number, one)| ("programme", of_programme(survey, number, one))),
    );
    rows.extend(survey.pids.iter().take(MAX_ROWS).map(|(number, pid)| ("PID", of_pid(survey, *number, pid))));
    let beyond: u64 = survey.pids.values().skip(MAX_ROWS).map(|pid| pid.packets).sum();
    if beyond + survey.of_more_pids > 0 {
        rows.push(("PID", format!("more of them, with {} packets", grouped(beyond + survey.of_more_pids))));
    }
    rows
}

fn of_programme(survey: &Survey, number: u16, programme: &Programme) -> String {
    let service = survey.psi.service(number).map_or(String::new(), |service| {
        format!(" \"{}\" of \"{}\"", legible(&service.name), legible(&service.provider))
    });
    let made_of = match &programme.pmt {
        Some(pmt) => format!("clock on PID {}, {} streams", pmt.pcr_pid, pmt.streams.len()),
        None => "whose PMT has not come".to_owned(),
    };
    format!("{number}{service}, PMT on PID {}, {made_of}", programme.pmt_pid)
}

fn of_pid(survey: &Survey, number: u16, pid: &Pid) -> String {
    let streams =
        survey.psi.programmes().filter_map(|(_, one)| one.pmt.as_ref()).flat_map(|pmt| &pmt.streams);
    let stream = streams.into_iter().find(|stream| stream.pid == number);
    let kind = survey.psi.kind(number).map(str::to_owned);
    let kind = kind.or_else(|| stream.map(|stream| format!("stream type {:#04x}", stream.stream_type)));
    let mut row = format!("{number:<5} {:>7}", percent(survey.share(pid.packets)));
    row += &format!("  {}", kind.as_deref().unwrap_or("not in a table"));
    if let Some(language) = stream.and_then(|stream| stream.language.as_ref()) {
        row += &format!(" ({language})");
    }
    if let Some((mean, longest)) = pid.clock.interval_ms() {
        row += &format!(", clock each {mean:.1} ms, {longest:.1} at most");
    }
    for (count, what) in [
        (pid.continuity_errors, "continuity errors"),
        (pid.scrambled, "scrambled"),
        (pid.broken, "with transport errors"),
    ] {
        if count > 0 {
            row += &format!(", {} {what}", grouped(count));
        }
    }
    row
}

fn of_control(control: &Control) -> Vec<Row> {
    let mut rows = Vec::new();
    if control.packets > 0 {
        let Control { packets, sender_reports, goodbyes, .. } = control;
        rows.push((
            "RTCP",
            format!("{packets} packets, {sender_reports} sender reports, {goodbyes} goodbyes"),
        ));
    }
    rows.extend(
        control.names.iter().map(|(ssrc, name)| ("name", format!("SSRC {ssrc:#010x} is \"{name}\""))),
    );
    rows
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}
