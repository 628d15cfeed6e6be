//! Media of several ports, `m=video 5004/2`, and of several groups, `c=IN IP4 239.1.1.1/16/2` (RFC 8866 sections 5.14 and 5.7):
//! these are several streams, and each becomes a medium of its own.

use std::net::IpAddr;

use super::lines::{Line, Lines};

/// Writes a medium for each stream, up to so many of one. What can not be taken apart stays, for who reads it to refuse.
pub(super) fn spread(lines: &Lines, most: usize) -> Lines {
    let is_medium = |line: &Line| line.key() == Some('m');
    let (session, media) = lines.0.split_at(lines.0.iter().position(is_medium).unwrap_or(lines.0.len()));
    let of_session = session.iter().find(|line| line.key() == Some('c'));
    let mut all = session.to_vec();
    for medium in media.chunk_by(|_, next| !is_medium(next)) {
        let own = medium.iter().find(|line| line.key() == Some('c'));
        match Streams::of(&medium[0], own.or(of_session), most) {
            Some(streams) => (0..streams.count).for_each(|number| streams.write(number, medium, &mut all)),
            None => all.extend_from_slice(medium),
        }
    }
    Lines(all)
}

/// What several streams of one medium have in common.
struct Streams<'a> {
    count: u16,
    /// What stands before the port and behind the number of ports.
    around: (&'a str, &'a str),
    port: u16,
    ports: u16,
    /// Where they are sent: the line, what stands before the group, the group, its TTL, and how many there are.
    connection: (&'a Line, &'a str, IpAddr, Option<&'a str>, u16),
}

impl<'a> Streams<'a> {
    /// `None`: it is one.
    fn of(medium: &'a Line, connection: Option<&'a Line>, most: usize) -> Option<Self> {
        let (media, rest) = medium.value().split_once(' ')?;
        let (port, rest) = rest.split_once(' ')?;
        let (port, ports) = port.split_once('/').unwrap_or((port, "1"));
        let (port, ports) = (port.parse().ok()?, ports.parse().ok()?);
        let connection = connection?;
        let (before, place) = connection.value().rsplit_once(' ')?;
        let mut parts = place.split('/');
        let group: IpAddr = parts.next()?.parse().ok()?;
        let ttl = if group.is_ipv4() { parts.next() } else { None };
        let groups = parts.next().unwrap_or("1").parse().ok()?;
        // Of several ports and several groups each port is of one group.
        let count = u16::max(ports, groups);
        let is_clear = ports == groups || ports == 1 || groups == 1;
        let is_several = count > 1 && usize::from(count) <= most;
        (is_several && is_clear).then_some(Self {
            count,
            around: (media, rest),
            port,
            ports,
            connection: (connection, before, group, ttl, groups),
        })
    }

    fn write(&self, number: u16, medium: &[Line], to: &mut Vec<Line>) {
        let Self { around: (media, rest), port, ports, connection, .. } = self;
        let (connection, before, group, ttl, groups) = connection;
        let port = if *ports > 1 { port.saturating_add(2 * number) } else { *port };
        let group = if *groups > 1 { nth(*group, number) } else { *group };
        let ttl = ttl.map(|ttl| format!("/{ttl}")).unwrap_or_default();
        to.push(Line { number: medium[0].number, text: format!("m={media} {port} {rest}") });
        to.push(Line { number: connection.number, text: format!("c={before} {group}{ttl}") });
        let is_of_first = |line: &Line| ["a=rtcp:", "a=mid:"].iter().any(|of| line.text.starts_with(of));
        let others = medium[1..].iter().filter(|line| line.key() != Some('c'));
        to.extend(others.filter(|line| number == 0 || !is_of_first(line)).cloned());
    }
}

fn nth(group: IpAddr, number: u16) -> IpAddr {
    match group {
        IpAddr::V4(group) => IpAddr::V4(u32::from(group).wrapping_add(number.into()).into()),
        IpAddr::V6(group) => IpAddr::V6(u128::from(group).wrapping_add(number.into()).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread_of(text: &str) -> Vec<String> {
        spread(&Lines::of(text.as_bytes()), 32).0.into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn two_ports_are_two_media_of_one_group() {
        let text =
            "v=0\nc=IN IP4 239.1.1.1/16\nm=video 5004/2 RTP/AVP 96\na=rtpmap:96 H264/90000\na=rtcp:6000\n";
        let of = |port| [format!("m=video {port} RTP/AVP 96"), "c=IN IP4 239.1.1.1/16".to_owned()];
        let [first, second] = [of(5004), of(5006)].map(|two| two.join("\n"));
        let expected = format!(
            "v=0\nc=IN IP4 239.1.1.1/16\n{first}\na=rtpmap:96 H264/90000\na=rtcp:6000\n{second}\na=rtpmap:96 H264/90000"
        );
        assert_eq!(spread_of(text).join("\n"), expected);
    }

    #[test]
    fn groups_follow_each_other_and_have_a_port_each_or_one_for_all() {
        let places = |text: &str| {
            let lines =
                spread_of(text).into_iter().filter(|line| line.starts_with("c=") || line.starts_with("m="));
            lines.collect::<Vec<_>>()
        };
        let v6 = places("v=0\nm=audio 5004 RTP/AVP 0\nc=IN IP6 ff15::1/2\n");
        assert_eq!(
            v6,
            ["m=audio 5004 RTP/AVP 0", "c=IN IP6 ff15::1", "m=audio 5004 RTP/AVP 0", "c=IN IP6 ff15::2"]
        );
        let both = places("v=0\nm=audio 5004/2 RTP/AVP 0\nc=IN IP4 239.1.1.255/16/2\n");
        assert_eq!(
            both,
            [
                "m=audio 5004 RTP/AVP 0",
                "c=IN IP4 239.1.1.255/16",
                "m=audio 5006 RTP/AVP 0",
                "c=IN IP4 239.1.2.0/16"
            ]
        );
    }

    #[test]
    fn what_is_one_stream_or_can_not_be_taken_apart_stays() {
        for medium in [
            "m=video 5004 RTP/AVP 96\nc=IN IP4 239.1.1.1/16",
            "m=video 5004/3 RTP/AVP 96\nc=IN IP4 239.1.1.1/16/2",
            "m=video 5004/33 RTP/AVP 96\nc=IN IP4 239.1.1.1/16",
            "m=video 5004/x RTP/AVP 96\nc=IN IP4 239.1.1.1/16",
            "m=video 5004/2 RTP/AVP 96",
            "m=video",
        ] {
            assert_eq!(spread_of(&format!("v=0\n{medium}\n")).join("\n"), format!("v=0\n{medium}"));
        }
    }
}
