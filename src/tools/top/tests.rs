//! The state and the screen, without a terminal and without a program that runs.

use proptest::prelude::*;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::style::{Color, Modifier};
use serde_json::{Value, json};

use super::plain::snapshot;
use super::press::Wish;
use super::state::{Answer, Mode, Pane, State};
use super::view::draw;

fn status() -> Value {
    json!({
        "version": "1.2.3", "revision": "abcdef", "uptime_seconds": 7325.5, "live": true,
        "draining_seconds_left": null,
        "config": { "revision": "c0ffee", "read_at": 0.0, "refused": null, "waiting_for_a_start": [] },
        "sessions": { "now": 2, "limit": 1000 }, "connections": { "now": 3, "limit": 2000 },
        "egress_bits_per_second": { "now": 8_000_000, "limit": 1_000_000_000 },
        "tables": [{ "table": "m0", "class": "media", "entries": 12, "capacity": 4096, "events": 9 }],
        "queues": [{ "queue": "media", "depth": 0, "workers": 2 }],
    })
}

fn channel(name: &str, state: &str, rate: u64, lost: u64, udp: u64) -> Value {
    let viewers = json!({ "udp": udp, "tcp": 1 });
    json!({ "name": name, "state": state, "bits_per_second": rate, "lost": lost, "viewers": viewers })
}

fn session(number: u64, client: &str, missed: u64) -> Value {
    json!({
        "session": number, "client": client, "channel": "uk/news", "state": "playing", "seconds": 61.0,
        "transport": "tcp", "bytes": 12_345_678, "missed": missed, "behind": 0, "lost": null, "jitter_ms": 1.25,
        "agent": "VLC/3\u{1b}[2J\u{202e}x",
    })
}

fn answer() -> Answer {
    Answer {
        status: status(),
        channels: json!({ "channels": [
            channel("film", "stalled", 0, 7, 0),
            channel("sport", "live", 12_000_000, 0, 4),
            channel("uk/news", "live", 4_000_000, 3, 1),
        ] }),
        sessions: json!({ "sessions": [session(17, "192.0.2.1", 0), session(18, "198.51.100.7", 5)], "matching": 2 }),
    }
}

fn state() -> State {
    let mut state = State::new("http://127.0.0.1:9469".to_owned(), true);
    state.take(&answer(), true);
    state
}

fn screen(state: &State, width: u16, height: u16) -> Terminal<TestBackend> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a screen");
    terminal.draw(|frame| draw(frame, state)).expect("it takes all");
    terminal
}

fn lines(state: &State, width: u16, height: u16) -> Vec<String> {
    let terminal = screen(state, width, height);
    let buffer = terminal.backend().buffer();
    let row = |y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>();
    (0..height).map(|y| row(y).trim_end().to_owned()).collect()
}

fn press(state: &mut State, keys: &str) -> Option<Wish> {
    keys.chars().fold(None, |_, key| {
        let code = match key {
            '\n' => KeyCode::Enter,
            '\t' => KeyCode::Tab,
            '\u{1b}' => KeyCode::Esc,
            other => KeyCode::Char(other),
        };
        state.press(KeyEvent::new(code, KeyModifiers::NONE))
    })
}

#[test]
fn a_screen_of_the_usual_size_shows_channels_and_sessions() {
    let shown = lines(&state(), 80, 24);
    let expected = [
        "mirrorball 1.2.3 (abcdef), config c0ffee, for 2 h 2 min, 3 channels, 2 live",
        "▸ Channels: 3, by name ─────────────────────────────────────────────────────────",
        "CHANNEL               STATE           RATE LAST MINUTE              LOST VIEWERS",
        "film                  stalled            –                    ▁        7       1",
        "sport                 live      12.00 Mb/s                    █        0       5",
        "uk/news               live       4.00 Mb/s                    █        3       2",
        "Sessions of all channels: 2, by number ─────────────────────────────────────────",
        "CLIENT                           SESSION BY                FOR   MISSED     LOST",
        "192.0.2.1                             17 tcp             1 min        0        –",
        "198.51.100.7                          18 tcp             1 min        5        –",
    ];
    assert_eq!(&shown[..10], expected, "{shown:#?}");
    assert!(shown[23].starts_with("q leave  ? help"), "{shown:#?}");
}

#[test]
fn a_large_screen_shows_all_and_a_small_one_the_table_that_is_chosen() {
    let large = lines(&state(), 150, 50).join("\n");
    for text in ["poll table m0 (media)", "queue media", "0 waiting", "tcp 1, udp 4", "VLC/3?[2J?x", "1.2 ms"]
    {
        assert!(large.contains(text), "{text} in\n{large}");
    }
    let mut state = state();
    let small = lines(&state, 40, 10).join("\n");
    assert!(small.contains("uk/news") && !small.contains("Sessions of"), "{small}");
    press(&mut state, "\t");
    let small = lines(&state, 40, 10).join("\n");
    assert!(small.contains("198.51.100.7") && !small.contains("film"), "{small}");
    press(&mut state, "\t");
    let small = lines(&state, 40, 10).join("\n");
    assert!(small.contains("media out"), "{small}");
}

#[test]
fn what_is_wrong_stands_on_top() {
    let mut answer = answer();
    answer.status["live"] = json!(false);
    answer.status["draining_seconds_left"] = json!(90.0);
    answer.status["config"]["refused"] = json!("a.toml:3: no such key\n\u{1b}[31mred");
    answer.status["config"]["waiting_for_a_start"] = json!(["[ring] max_age"]);
    let mut state = state();
    state.take(&answer, true);
    let shown = lines(&state, 100, 40).join("\n");
    for text in ["stands still", "1 min are left", "a.toml:3: no such key", "?[31mred", "[ring] max_age"] {
        assert!(shown.contains(text), "{text} in\n{shown}");
    }
    state.lose("Connection refused".to_owned());
    let shown = lines(&state, 100, 40);
    assert_eq!(shown[0], "No answer from http://127.0.0.1:9469: Connection refused; what is shown is old");
    assert!(shown.join("\n").contains("uk/news"), "what was known stays");
    let terminal = screen(&state, 100, 40);
    assert!(terminal.backend().buffer()[(0, 12)].modifier.contains(Modifier::DIM));
    state.take(&answer, true);
    assert!(lines(&state, 100, 40)[0].starts_with("mirrorball 1.2.3"));
}

#[test]
fn colours_are_left_out_where_they_are_not_wanted() {
    let has_colours = |state: &State| {
        let terminal = screen(state, 80, 24);
        let cells = terminal.backend().buffer().content();
        cells.iter().any(|cell| cell.fg != Color::Reset || cell.bg != Color::Reset)
    };
    let mut state = state();
    assert!(has_colours(&state));
    state.has_colours = false;
    state.lose("gone".to_owned());
    assert!(!has_colours(&state));
}

#[test]
fn keys_choose_sort_and_filter() {
    let mut state = state();
    press(&mut state, "jj");
    assert_eq!(state.channel.chosen(&state.channel_names()).as_deref(), Some("uk/news"));
    press(&mut state, "s");
    assert_eq!(state.channel_names(), ["sport", "uk/news", "film"], "by rate");
    assert_eq!(state.channel.chosen(&state.channel_names()).as_deref(), Some("uk/news"), "it stays chosen");
    press(&mut state, "\n");
    assert_eq!((state.pane, state.wanted().channel.as_deref()), (Pane::Sessions, Some("uk/news")));
    assert!(state.sessions.is_empty(), "those of others are not shown as its own");
    state.take(&answer(), false);
    assert_eq!(state.channels[0].minute.len(), 1, "an answer between two seconds is no second");
    press(&mut state, "s");
    assert_eq!(state.session_numbers(), [18, 17], "by what was missed");
    press(&mut state, "/192.0.");
    assert_eq!((state.session_numbers(), state.wanted().client.as_deref()), (vec![17], Some("192.0.")));
    press(&mut state, "\u{1b}/vlc\n");
    assert_eq!((state.session_numbers().len(), state.wanted().client), (2, None));
    press(&mut state, "a");
    assert_eq!(state.wanted().channel, None);
    press(&mut state, "?");
    assert!(lines(&state, 80, 24).join("\n").contains("end the chosen session"));
    assert_eq!(press(&mut state, "q"), None, "it closes the help");
    assert_eq!(press(&mut state, "q"), Some(Wish::Quit));
    assert_eq!(press(&mut state, "\u{1b}"), Some(Wish::Quit));
    let control_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    press(&mut state, "/");
    assert_eq!(state.press(control_c), Some(Wish::Quit), "whatever is being typed");
}

#[test]
fn a_session_is_ended_by_a_yes_and_the_one_that_was_asked_about() {
    let mut state = state();
    assert_eq!(press(&mut state, "d"), None);
    assert!(state.said.contains("Tab"), "channels are not ended");
    press(&mut state, "\td");
    assert!(lines(&state, 80, 24)[23].starts_with("End session 17 of 192.0.2.1? y/n"));
    assert_eq!(press(&mut state, "n"), None);
    assert_eq!(state.mode, Mode::Watching);
    press(&mut state, "d");
    let mut less = answer();
    less.sessions = json!({ "sessions": [session(18, "198.51.100.7", 5)], "matching": 1 });
    state.take(&less, true);
    assert_eq!(press(&mut state, "y"), Some(Wish::End(17)), "though another row is in its place");
}

#[test]
fn a_table_is_scrolled_to_the_chosen_row() {
    let mut state = state();
    let sessions: Vec<_> = (1..=500).map(|number| session(number, "192.0.2.1", 0)).collect();
    let more = Answer { sessions: json!({ "sessions": sessions, "matching": 3000 }), ..answer() };
    state.take(&more, true);
    press(&mut state, "\t"); // to the one that has been the first: 17
    for _ in 0..300 {
        press(&mut state, "j");
    }
    let shown = lines(&state, 80, 24).join("\n");
    assert!(
        shown.contains(" 317 ") && !shown.contains(" 318 ") && shown.contains("the first 500 of 3000"),
        "{shown}"
    );
}

#[test]
fn a_minute_is_remembered_and_what_is_removed_is_forgotten() {
    let mut state = state();
    for _ in 0..100 {
        state.take(&answer(), true);
    }
    assert_eq!(state.channels[1].minute.len(), 60);
    state.take(&Answer { channels: json!({ "channels": [] }), ..answer() }, true);
    state.take(&answer(), true);
    assert_eq!(state.channels[1].minute.len(), 1);
}

#[test]
fn plain_text_is_for_other_programs() {
    let text = snapshot(&state());
    let expected = "\
mirrorball 1.2.3 (abcdef), config c0ffee, for 2 h 2 min, http://127.0.0.1:9469

Channels: 3
CHANNEL  STATE          RATE  LOST  VIEWERS  BY
film     stalled           –     7        1  tcp 1
sport    live     12.00 Mb/s     0        5  tcp 1, udp 4
";
    assert!(text.starts_with(expected), "{text}");
    assert!(text.contains("\nSessions: 2\nCLIENT        SESSION  CHANNEL "), "{text}");
    assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
}

fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        Just(json!("a\u{1b}[2J\r\n\u{9b}31m\u{202e}世界\u{301}")),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        let key = prop::sample::select(vec![
            "name",
            "state",
            "viewers",
            "session",
            "client",
            "seconds",
            "config",
            "refused",
            "table",
            "now",
            "jitter_ms",
            "bits_per_second",
            "lost",
            "udp",
            "waiting_for_a_start",
            "agent",
            "limit",
        ]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(key, inner, 0..6).prop_map(|map| {
                Value::Object(map.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
            }),
        ]
    })
}

/// An answer in which some of what is expected is replaced.
fn spoiled(answer: Answer, places: Vec<(usize, Value)>) -> Answer {
    let Answer { mut status, mut channels, mut sessions } = answer;
    for (place, value) in places {
        match place {
            0 => status = value,
            1 => channels = value,
            2 => sessions = value,
            3 => channels["channels"] = json!([value]),
            4 => sessions["sessions"] = json!([value.clone(), value]),
            5 => status["config"] = value,
            6 => status["tables"] = json!([value]),
            7 => status["sessions"] = value,
            _ => status["uptime_seconds"] = value,
        }
    }
    Answer { status, channels, sessions }
}

/// Places in an order in which the whole is replaced last.
fn places() -> impl Strategy<Value = Vec<(usize, Value)>> {
    prop::collection::vec((0..9_usize, anything()), 1..4).prop_map(|mut places| {
        places.sort_by_key(|(place, _)| std::cmp::Reverse(*place));
        places
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn whatever_is_answered_and_typed_is_shown_on_any_screen(
        places in places(),
        keys in "[jksad/y?\t\n\u{1b}xé0.]{0,12}",
        (width, height) in (0..160_u16, 0..60_u16),
    ) {
        let mut state = State::new("http://edge".to_owned(), true);
        state.take(&spoiled(answer(), places.clone()), true);
        for key in keys.chars() {
            press(&mut state, &key.to_string());
            screen(&state, width, height);
        }
        state.take(&spoiled(answer(), places), true);
        state.lose("gone".to_owned());
        screen(&state, width, height);
        let text = snapshot(&state);
        prop_assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
    }
}
