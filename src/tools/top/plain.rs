//! What is known, once, as lines of text.

use std::fmt::{self, Write as _};

use ratatui::text::Line;

use super::columns::{CHANNELS, Column, PARTS, SESSIONS};
use super::state::State;
use super::told::span;

/// All of it.
pub fn snapshot(state: &State) -> String {
    let mut text = String::new();
    let _ = write(&mut text, state); // writing to a String does not fail
    text
}

fn write(text: &mut String, state: &State) -> fmt::Result {
    let Some(status) = &state.status else { return Ok(()) };
    let up = span(status.uptime);
    writeln!(text, "mirrorball {}, config {}, for {up}, {}", status.program, status.config, state.url)?;
    status.notices.iter().try_for_each(|notice| writeln!(text, "! {notice}"))?;
    let (channels, sessions) = (state.shown_channels(), state.shown_sessions());
    writeln!(text, "\nChannels: {}", channels.len())?;
    table(text, CHANNELS, &channels)?;
    let shown = sessions.len() as u64;
    let of = if shown < state.matching { format!("the first {shown} of ") } else { String::new() };
    writeln!(text, "\nSessions: {of}{}", state.matching)?;
    table(text, SESSIONS, &sessions)?;
    writeln!(text, "\nLimits, tables and queues:")?;
    table(text, PARTS, &status.parts.iter().collect::<Vec<_>>())
}

fn table<T>(text: &mut String, columns: &[Column<T>], rows: &[&T]) -> fmt::Result {
    let columns: Vec<_> = columns.iter().filter(|column| !column.is_course).collect();
    let titles = columns.iter().map(|column| column.title.to_owned()).collect();
    let rows = rows.iter().map(|row| columns.iter().map(|column| (column.text)(row)).collect());
    let lines: Vec<Vec<String>> = [titles].into_iter().chain(rows).collect();
    let width = |place: usize| lines.iter().map(|line| width_of(&line[place])).max().unwrap_or_default();
    let widths: Vec<_> = (0..columns.len()).map(width).collect();
    for line in &lines {
        let mut row = String::new();
        for ((cell, column), width) in line.iter().zip(&columns).zip(&widths) {
            let room = " ".repeat(width.saturating_sub(width_of(cell)));
            let (before, behind) =
                if column.is_right { (room, String::new()) } else { (String::new(), room) };
            write!(row, "{before}{cell}{behind}  ")?;
        }
        writeln!(text, "{}", row.trim_end())?;
    }
    Ok(())
}

/// On a terminal, where some characters are two wide.
fn width_of(text: &str) -> usize {
    Line::raw(text).width()
}
