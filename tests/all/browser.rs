//! The status page in a real browser.

use std::time::Duration;

use crate::players::programme::{Form, Programme};
use crate::vocabulary::{
    Browser, Connection, ENTER, Group, Needs, Over, Setup, TAB, Viewer, WRITES, axe, in_a_network_of_its_own,
    passes, say, skip,
};

const NEEDS: Needs = Needs { programs: &["ip", "chromium", "ffmpeg"], route: true, ipv6: false };

/// When the picture plays by any build on a busy machine, decoded without the help of a card.
const SOON_MS: f64 = 2000.0;

/// Whether a row of a table says something.
fn row_says(row: &str, text: &str) -> String {
    format!("(document.querySelector({row:?})?.innerText ?? \"\").includes({text:?})")
}

#[test]
fn an_operator_sees_a_channel_come_play_and_stop_and_ends_a_session() {
    in_a_network_of_its_own(
        "browser::an_operator_sees_a_channel_come_play_and_stop_and_ends_a_session",
        &NEEDS,
        || {
            let Some(axe) = axe() else {
                return skip(
                    "the status page",
                    "axe-core is not in target/browser (npm install --prefix target/browser axe-core)",
                );
            };
            let programme = Programme::with_starts(60, 50);
            let group = Group::fresh();
            let mirrorball = Setup::new().channel("film", group).with_tokens().start();
            let mut browser =
                Browser::open(&format!("http://anna:{WRITES}@{}/", mirrorball.admin)).expect("Chromium");
            browser.expect("the channel is there", &row_says("[data-channel=film]", "stalled"));
            let sender = programme.send(Form::TransportStream, group);
            browser.expect("it is live", &row_says("[data-channel=film]", "live"));
            browser.expect("with its rate", &row_says("[data-channel=film]", "b/s"));

            // It plays in the page, reached and opened by keys alone.
            let is_reached = "document.activeElement.matches('[data-channel=film] button')";
            let mut presses = (0..20).map(|_| {
                browser.press(TAB);
                browser.run(is_reached) == true
            });
            assert!(presses.any(|is_reached| is_reached), "no Tab leads to the channel's button");
            let began = browser.run("window.asked = performance.now(); true");
            assert_eq!(began, true);
            browser.run("document.getElementById('video').addEventListener('playing', () => { window.played ??= performance.now(); }); true");
            browser.press(ENTER);
            browser.expect("it plays", "document.getElementById('video').currentTime > 0.5");
            let took = browser.run("Math.round(window.played - window.asked)");
            say(&format!("the status page: the first picture {took} ms after the key"));
            assert!(took.as_f64().is_some_and(|took| took <= SOON_MS), "{took} ms");
            browser.expect(
                "and is said to",
                "document.getElementById('picture-said').innerText.startsWith('Live')",
            );

            // A session is ended by a click.
            let mut viewer = Viewer::playing(&mirrorball, "film", Over::Tcp);
            browser.expect("the session is shown", &row_says("#session-rows", "127.0.0.1"));
            browser.click("#session-rows button");
            assert!(viewer.connection.is_closed_within(Duration::from_secs(10)), "it is told");
            browser.expect(
                "it is said",
                "document.getElementById('session-said').innerText.includes('is ended')",
            );
            mirrorball.expect_metric("mirrorball_sessions_ended_total", &[("reason", "operator")], 1.0);

            // Who is refused is shown, and why.
            let mut refused = Connection::open(mirrorball.rtsp);
            refused.request("DESCRIBE", &mirrorball.url("flim"), &[]).expect(404);
            browser.expect("why one does not get in", &row_says("#refused-rows", "DESCRIBE flim"));

            // However it is looked at, nobody is kept out.
            for (width, height, scheme) in
                [(1280, 800, "light"), (1280, 800, "dark"), (390, 844, "light"), (390, 844, "dark")]
            {
                browser.looks_like(width, height, scheme);
                let faults = browser.accessibility_faults(&axe);
                assert!(faults.is_empty(), "{width} {scheme}: {faults:#?}");
                let is_wide = browser.run("document.documentElement.scrollWidth > window.innerWidth");
                assert_eq!(is_wide, false, "the page itself is as wide as the screen");
            }

            // The source stops, and another channel comes.
            drop(sender);
            browser.expect("it is said to be silent", &row_says("[data-channel=film]", "stalled"));
            let more = format!(
                "[[channel]]\nname = \"more\"\nsource = \"rtp://{}\"\ninterface = \"lo\"\n",
                group.beside()
            );
            mirrorball.reload(&(mirrorball.config() + &more));
            browser.expect("the new one is there", &row_says("[data-channel=more]", "stalled"));
            mirrorball.write_config("[rtsp]\nlisten_on = 1\n");
            browser.expect(
                "what is wrong stands on top",
                "document.getElementById('notices').innerText.includes('listen_on')",
            );
            assert!(passes(Duration::from_secs(10), || mirrorball.metric("mirrorball_previews", &[]) <= 1.0));
        },
    );
}
