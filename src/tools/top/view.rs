//! The screen: a function of what is known and of its size.
//!
//! Colours are those of the terminal that can be read on dark and on light, and nothing is told by them alone.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{Block, Borders, Cell, Clear, Paragraph, Row, Table};

use super::columns::{CHANNELS, Column, PARTS, SESSIONS};
use super::state::{Mode, Pane, State};
use super::told::{Status, span};

/// From so many rows on for tables, two are shown, and all three.
const TWO_FROM: u16 = 14;
const THREE_FROM: u16 = 24;
/// What limits, tables and queues take of those.
const PARTS_ROWS: u16 = 8;

const HELP: &[&str] = &[
    "↑ ↓ j k PgUp PgDn   choose a row",
    "Home End            the first, the last",
    "Tab                 the next table",
    "Enter               sessions of the channel",
    "a                   sessions of all channels",
    "s                   sort by something else",
    "/                   rows that hold a text",
    "d                   end the chosen session",
    "q Esc Ctrl-C        leave",
];

/// Draws all of it.
pub fn draw(frame: &mut Frame<'_>, state: &State) {
    let area = frame.area();
    let header = header(state);
    let lines = (header.len() as u16).min((area.height / 4).max(1));
    let [top, body, bottom] =
        Layout::vertical([Constraint::Length(lines), Constraint::Min(0), Constraint::Length(1)]).areas(area);
    frame.render_widget(Paragraph::new(header), top);
    for (pane, area) in panes(state, body) {
        draw_pane(frame, state, pane, area);
    }
    frame.render_widget(Paragraph::new(footer(state)), bottom);
    if state.mode == Mode::Help {
        draw_help(frame, body);
    }
}

fn header(state: &State) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    if let Some(why) = &state.away {
        let old = if state.status.is_some() { "; what is shown is old" } else { "" };
        let text = format!("No answer from {}: {why}{old}", state.url);
        lines.push(Line::styled(text, coloured(state, Color::Red).add_modifier(Modifier::BOLD)));
    }
    match &state.status {
        Some(status) => {
            lines.push(program(state, status));
            let notices = status.notices.iter().map(|notice| format!("! {notice}"));
            lines.extend(notices.map(|notice| Line::styled(notice, coloured(state, Color::Magenta))));
        }
        None if state.away.is_none() => lines.push(Line::raw(format!("Asking {} …", state.url))),
        None => {}
    }
    lines
}

fn program(state: &State, status: &Status) -> Line<'static> {
    let live = state.channels.iter().filter(|channel| channel.state == "live").count();
    Line::from(vec![
        Span::styled("mirrorball", Modifier::BOLD),
        Span::raw(format!(
            " {}, config {}, for {}, {} channels, {live} live",
            status.program,
            status.config,
            span(status.uptime),
            state.channels.len()
        )),
    ])
}

fn footer(state: &State) -> Line<'static> {
    match &state.mode {
        Mode::Ending(number, client) => {
            let text = format!("End session {number} of {client}? y/n");
            Line::styled(text, Modifier::BOLD)
        }
        Mode::Filtering => Line::raw(format!("/{}▏ Enter keeps it, Esc clears it", state.filter(state.pane))),
        Mode::Help => Line::raw("any key closes the help"),
        Mode::Watching if !state.said.is_empty() => Line::styled(state.said.clone(), Modifier::BOLD),
        Mode::Watching => Line::raw("q leave  ? help  Tab tables  Enter sessions  s sort  / filter  d end"),
    }
}

/// Which tables there is room for.
fn panes(state: &State, body: Rect) -> Vec<(Pane, Rect)> {
    if body.height < TWO_FROM {
        return vec![(state.pane, body)];
    }
    let channels = (state.channels.len().min(100) as u16 + 2).clamp(4, body.height / 2);
    let lower = if state.pane == Pane::Parts { Pane::Parts } else { Pane::Sessions };
    if body.height < THREE_FROM {
        let [upper, rest] = Layout::vertical([Constraint::Length(channels), Constraint::Min(0)]).areas(body);
        return vec![(Pane::Channels, upper), (lower, rest)];
    }
    let rows = [Constraint::Length(channels), Constraint::Min(0), Constraint::Length(PARTS_ROWS)];
    let [upper, middle, rest] = Layout::vertical(rows).areas(body);
    vec![(Pane::Channels, upper), (Pane::Sessions, middle), (Pane::Parts, rest)]
}

fn draw_pane(frame: &mut Frame<'_>, state: &State, pane: Pane, area: Rect) {
    let title = title(state, pane);
    match pane {
        Pane::Channels => {
            let (rows, place) = (state.shown_channels(), state.channel.place(&state.channel_names()));
            let table = Shown { state, pane, title, columns: CHANNELS, rows: &rows, place };
            table.draw(frame, area);
        }
        Pane::Sessions => {
            let (rows, place) = (state.shown_sessions(), state.session.place(&state.session_numbers()));
            let table = Shown { state, pane, title, columns: SESSIONS, rows: &rows, place };
            table.draw(frame, area);
        }
        Pane::Parts => {
            let rows: Vec<_> = state.status.iter().flat_map(|status| &status.parts).collect();
            let place = state.part.place(&state.part_places());
            let table = Shown { state, pane, title, columns: PARTS, rows: &rows, place };
            table.draw(frame, area);
        }
    }
}

fn title(state: &State, pane: Pane) -> String {
    let mut title = match pane {
        Pane::Channels => format!("Channels: {}", state.channels.len()),
        Pane::Sessions => {
            let of = state.of.as_ref().map_or_else(|| "all channels".to_owned(), Clone::clone);
            let known = state.sessions.len() as u64;
            match known < state.matching {
                true => format!("Sessions of {of}: the first {known} of {}", state.matching),
                false => format!("Sessions of {of}: {known}"),
            }
        }
        Pane::Parts => "Limits, tables, queues".to_owned(),
    };
    let by = state.sorted_by(pane).map(|by| format!(", by {by}"));
    title.push_str(&by.unwrap_or_default());
    if !state.filter(pane).is_empty() {
        title.push_str(&format!(", with {:?}", state.filter(pane)));
    }
    title
}

/// One table.
struct Shown<'s, T> {
    state: &'s State,
    pane: Pane,
    title: String,
    columns: &'s [Column<T>],
    rows: &'s [&'s T],
    place: Option<usize>,
}

impl<T> Shown<'_, T> {
    fn draw(self, frame: &mut Frame<'_>, area: Rect) {
        let is_chosen = self.state.pane == self.pane;
        let columns: Vec<_> = self.columns.iter().filter(|column| area.width >= column.from).collect();
        let room = usize::from(area.height.saturating_sub(2));
        let place = self.place.unwrap_or_default();
        let first = (place + 1).saturating_sub(room);
        let rows = self.rows.iter().enumerate().skip(first).take(room).map(|(at, row)| {
            let cells = columns.iter().map(|column| self.cell(column, (column.text)(row)));
            let is_at = is_chosen && at == place;
            let style = if is_at { Style::new().add_modifier(Modifier::REVERSED) } else { Style::new() };
            Row::new(cells).style(style)
        });
        let widths = columns.iter().enumerate().map(|(at, column)| match at {
            0 => Constraint::Min(column.width),
            _ => Constraint::Length(column.width),
        });
        let titles = columns.iter().map(|column| self.cell(column, column.title.to_owned()));
        let weight = if is_chosen { Modifier::BOLD } else { Modifier::empty() };
        let title = if is_chosen { format!("▸ {} ", self.title) } else { format!("{} ", self.title) };
        let block = Block::new().borders(Borders::TOP).title(Line::styled(title, weight));
        let is_old = self.state.away.is_some();
        let table = Table::new(rows, widths)
            .header(Row::new(titles).style(Modifier::BOLD))
            .block(block)
            .style(if is_old { Modifier::DIM } else { Modifier::empty() });
        frame.render_widget(table, area);
    }

    fn cell(&self, column: &Column<T>, text: String) -> Cell<'static> {
        let style = match text.as_str() {
            "live" if column.title == "STATE" => coloured(self.state, Color::Green),
            "stalled" if column.title == "STATE" => coloured(self.state, Color::Red),
            _ => Style::new(),
        };
        let text = if column.is_right { Text::from(text).right_aligned() } else { Text::from(text) };
        Cell::new(text).style(style)
    }
}

fn coloured(state: &State, colour: Color) -> Style {
    if state.has_colours { Style::new().fg(colour) } else { Style::new() }
}

fn draw_help(frame: &mut Frame<'_>, body: Rect) {
    let (width, height) = (50.min(body.width), (HELP.len() as u16 + 2).min(body.height));
    let [x, y] = [(body.width - width) / 2, (body.height - height) / 2];
    let area = Rect { x: body.x + x, y: body.y + y, width, height };
    frame.render_widget(Clear, area);
    let lines: Vec<_> = HELP.iter().map(|line| Line::raw(*line)).collect();
    frame.render_widget(Paragraph::new(lines).block(Block::bordered().title("Keys")), area);
}
