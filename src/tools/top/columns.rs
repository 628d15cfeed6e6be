//! What stands in which column, on the screen and in plain text.

use super::told::{Channel, Part, Session, count, rate, size, span};

/// A line of the last minute has so many characters.
const MINUTE_WIDTH: usize = 20;

/// A column of rows of one kind.
pub struct Column<T> {
    pub title: &'static str,
    pub width: u16,
    /// Numbers.
    pub is_right: bool,
    /// The screen is at least so wide.
    pub from: u16,
    /// It says nothing before a minute has passed.
    pub is_course: bool,
    pub text: fn(&T) -> String,
}

const fn column<T>(title: &'static str, width: u16, from: u16, text: fn(&T) -> String) -> Column<T> {
    Column { title, width, is_right: false, from, is_course: false, text }
}

const fn figure<T>(title: &'static str, width: u16, from: u16, text: fn(&T) -> String) -> Column<T> {
    Column { title, width, is_right: true, from, is_course: false, text }
}

/// Of channels. The first column of each table takes what room is left.
pub const CHANNELS: &[Column<Channel>] = &[
    column("CHANNEL", 10, 0, |channel| channel.name.clone()),
    column("STATE", 8, 0, |channel| channel.state.clone()),
    figure("RATE", 11, 0, |channel| rate(channel.rate)),
    Column {
        is_course: true,
        ..column("LAST MINUTE", MINUTE_WIDTH as u16, 76, |channel| {
            course(channel.minute.iter().copied(), MINUTE_WIDTH)
        })
    },
    figure("LOST", 8, 50, |channel| count(Some(channel.lost))),
    figure("VIEWERS", 7, 40, |channel| count(Some(channel.audience()))),
    column("BY", 24, 110, |channel| {
        let each: Vec<_> = channel.viewers.iter().map(|(by, number)| format!("{by} {number}")).collect();
        each.join(", ")
    }),
];

/// Of sessions.
pub const SESSIONS: &[Column<Session>] = &[
    column("CLIENT", 15, 0, |session| session.client.clone()),
    figure("SESSION", 8, 0, |session| session.number.to_string()),
    column("CHANNEL", 14, 92, |session| session.channel.clone()),
    column("BY", 10, 40, |session| session.by.clone()),
    figure("FOR", 10, 78, |session| span(session.seconds)),
    figure("SENT", 11, 112, |session| size(session.sent)),
    figure("MISSED", 8, 52, |session| count(session.missed)),
    figure("BEHIND", 8, 86, |session| count(session.behind)),
    figure("LOST", 8, 62, |session| count(session.lost)),
    figure("JITTER", 9, 100, |session| {
        session.jitter_ms.map_or_else(|| "–".to_owned(), |jitter| format!("{jitter:.1} ms"))
    }),
    column("AGENT", 22, 135, |session| session.agent.clone()),
];

/// Of limits, tables and queues.
pub const PARTS: &[Column<Part>] = &[
    column("PART", 16, 0, |part| part.name.clone()),
    figure("NOW", 12, 0, |part| part.now.clone()),
    figure("ROOM", 12, 0, |part| part.room.clone()),
];

/// A line of what was, as high as the most of it; the newest on the right.
fn course(values: impl ExactSizeIterator<Item = u64> + Clone, width: usize) -> String {
    const HEIGHTS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let most = values.clone().max().unwrap_or_default().max(1);
    let each = super::state::MINUTE.div_ceil(width);
    let values: Vec<_> = values.collect();
    let line: String = values
        .rchunks(each)
        .rev()
        .map(|values| values.iter().copied().max().unwrap_or_default())
        .map(|value| HEIGHTS[(u128::from(value) * 7 / u128::from(most)) as usize])
        .collect();
    format!("{line:>width$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_course_of_a_minute_grows_from_the_right() {
        assert_eq!(course([].into_iter(), 4), "    ");
        assert_eq!(course([0, 0, 0].into_iter(), 20), format!("{:>20}", "▁"));
        assert_eq!(course([0, 0, 0, 5, 10, 0].into_iter(), 20), format!("{:>20}", "▁█"));
        let whole: Vec<_> = (0..60).collect();
        let line = course(whole.into_iter(), 20);
        assert_eq!((line.chars().count(), line.chars().last()), (20, Some('█')));
        assert_eq!(course([u64::MAX].into_iter(), 1), "█");
    }
}
