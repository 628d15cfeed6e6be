//! The report for programs. Its names are public: `docs/operations.md` has them.

use std::net::IpAddr;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::serve::legible;

use super::hearing::{Control, Verdict};
use super::report::{Heard, Report};
use super::sender::{Sender, Stream};
use super::survey::Survey;

impl Report {
    /// One object.
    pub fn to_json(&self) -> Value {
        json!({
            "source": self.source.to_string(),
            "seconds": rounded(self.length.as_secs_f64()),
            "interrupted": self.is_interrupted,
            "as_said": self.is_as_said(),
            "tracks": self.tracks.iter().map(|track| of_track(track, self.ended)).collect::<Vec<_>>(),
        })
    }
}

fn of_track(track: &Heard, ended: Duration) -> Value {
    let (description, feed, place) = (&track.hearing.description, &track.hearing.feed, &track.place);
    let verdict = match track.hearing.verdict() {
        Verdict::AsSaid => "as said",
        Verdict::SomethingElse => "something else",
        Verdict::Nothing => "nothing",
    };
    let senders = track.hearing.senders.iter();
    json!({
        "group": track.group().to_string(),
        "sources": hosts(feed.filter.named()),
        "excluded_sources": hosts(feed.filter.excluded()),
        "media": legible(&description.media),
        "payload_types": description.payload_types,
        "interface": {
            "name": place.name,
            "addresses": hosts(&place.addresses),
            "by_route": place.is_by_route,
        },
        "protocol": track.protocol.map(|protocol| protocol.to_string()),
        "heard": verdict,
        "dropped_here": track.dropped,
        "buffer_bytes": track.buffer_bytes,
        "senders": senders.map(|(address, sender)| {
            let mut told = of_sender(sender, ended);
            told["address"] = address.to_string().into();
            told
        }).collect::<Vec<_>>(),
        "of_more_senders": track.hearing.of_more_senders,
        "rtcp": of_control(&track.hearing.control),
        "notes": track.notes(),
    })
}

fn hosts(addresses: &[IpAddr]) -> Vec<String> {
    addresses.iter().map(ToString::to_string).collect()
}

fn of_sender(sender: &Sender, ended: Duration) -> Value {
    let rate = sender.bit_rate(ended);
    let has_ts = sender.survey.packets > 0;
    json!({
        "packets": sender.packets,
        "bytes": sender.bytes,
        "datagram_bytes": { "min": sender.sizes.0, "max": sender.sizes.1 },
        "bits_per_second": {
            "mean": rounded(rate.mean),
            "min": rate.extremes.map(|(slowest, _)| slowest),
            "max": rate.extremes.map(|(_, fastest)| fastest),
        },
        "as_said": sender.taken,
        "not_as_said": sender.not_taken.iter().map(|(what, packets)| json!({ "what": what, "packets": packets })).collect::<Vec<_>>(),
        "rtp": sender.streams.iter().map(of_stream).collect::<Vec<_>>(),
        "of_more_ssrcs": sender.of_more_ssrcs,
        "ts": has_ts.then(|| of_survey(&sender.survey)),
    })
}

fn of_stream(stream: &Stream) -> Value {
    let reception = &stream.reception;
    json!({
        "ssrc": stream.ssrc,
        "payload_types": stream.payload_types,
        "packets": reception.packets(),
        "lost": reception.missing(),
        "reordered": reception.reordered(),
        "duplicates": reception.duplicates(),
        "restarts": reception.restarts(),
        "marked": stream.marked,
        "jitter_ms": reception.jitter_seconds().map(|seconds| rounded(seconds * 1e3)),
    })
}

fn of_survey(survey: &Survey) -> Value {
    let pids = survey.pids.iter().map(|(number, pid)| {
        let interval = pid.clock.interval_ms();
        json!({
            "pid": number,
            "packets": pid.packets,
            "share": rounded(survey.share(pid.packets)),
            "kind": survey.psi.kind(*number),
            "continuity_errors": pid.continuity_errors,
            "scrambled": pid.scrambled,
            "transport_errors": pid.broken,
            "pcr": (pid.clock.references > 0).then(|| json!({
                "references": pid.clock.references,
                "mean_ms": interval.map(|(mean, _)| rounded(mean)),
                "max_ms": interval.map(|(_, longest)| rounded(longest)),
            })),
        })
    });
    json!({
        "packets": survey.packets,
        "packet_bytes": survey.sizes,
        "null_share": rounded(survey.share(survey.nulls())),
        "continuity_errors": survey.sum(|pid| pid.continuity_errors),
        "scrambled": survey.sum(|pid| pid.scrambled),
        "transport_errors": survey.sum(|pid| pid.broken),
        "unreadable": survey.unreadable,
        "damaged_tables": survey.psi.damaged(),
        "pids": pids.collect::<Vec<_>>(),
        "of_more_pids": survey.of_more_pids,
        "programmes": programmes(survey),
    })
}

fn programmes(survey: &Survey) -> Vec<Value> {
    let told = survey.psi.programmes().map(|(number, programme)| {
        let pmt = programme.pmt.as_ref();
        let service = survey.psi.service(number);
        let streams = pmt.iter().flat_map(|pmt| &pmt.streams).map(|stream| {
            json!({
                "pid": stream.pid,
                "stream_type": stream.stream_type,
                "kind": Some(stream.kind).filter(|kind| !kind.is_empty()),
                "language": stream.language,
            })
        });
        json!({
            "number": number,
            "pmt_pid": programme.pmt_pid,
            "pcr_pid": pmt.map(|pmt| pmt.pcr_pid),
            "name": service.map(|service| legible(&service.name)),
            "provider": service.map(|service| legible(&service.provider)),
            "streams": streams.collect::<Vec<_>>(),
        })
    });
    told.collect()
}

fn of_control(control: &Control) -> Value {
    let names: Map<_, _> =
        control.names.iter().map(|(ssrc, name)| (ssrc.to_string(), Value::from(name.as_str()))).collect();
    json!({
        "packets": control.packets,
        "sender_reports": control.sender_reports,
        "goodbyes": control.goodbyes,
        "not_rtcp": control.not_rtcp,
        "names": names,
    })
}

/// To three places: more is not measured.
fn rounded(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}
