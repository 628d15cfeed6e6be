//! Who is offered to have again what they have lost, and how.

use toml::Spanned;

use crate::relay::OfferRepair;
use crate::serve::RepairAgents;
use crate::wire::sdp::Repairs;

use super::report::Report;
use super::section::Typed;

/// Agents that may be known, and the bytes by which one is.
const AGENTS: usize = 64;
const AGENT_BYTES: usize = 128;

/// Who is offered it of a channel.
pub(super) fn offer_repair(typed: &str) -> Result<OfferRepair, String> {
    match typed {
        "known" => Ok(OfferRepair::Known),
        "never" => Ok(OfferRepair::Never),
        _ => repairs(typed).map(OfferRepair::All).ok_or_else(|| {
            format!(
                "{typed:?} says not who is offered what; write \"known\", \"originals\", \"rtx\", \"rtx-session\" or \"never\""
            )
        }),
    }
}

/// Those who are known to take it.
pub(super) fn agents(typed: &Typed<Vec<Spanned<String>>>, report: &mut Report<'_>) -> RepairAgents {
    const PLACE: &str = "[rtsp] repair_agents";
    let Some(typed) = typed else { return RepairAgents::default() };
    let count = typed.get_ref().len();
    if count > AGENTS {
        report.add(typed.span().start, format!("{PLACE}: {count} agents; write {AGENTS} or fewer"));
    }
    let mut agents: Vec<(String, Repairs)> = Vec::new();
    for text in typed.get_ref().iter().take(AGENTS) {
        match agent(text.get_ref()) {
            Ok((begins, _)) if agents.iter().any(|(known, _)| *known == begins) => {
                report.add(text.span().start, format!("{PLACE}: {begins:?} is there twice; leave one out"));
            }
            Ok(known) => agents.push(known),
            Err(wrong) => report.add(text.span().start, format!("{PLACE}: {wrong}")),
        }
    }
    RepairAgents(agents)
}

/// How a `User-Agent` begins, and what it takes.
fn agent(typed: &str) -> Result<(String, Repairs), String> {
    let (begins, takes) = typed.trim().rsplit_once(' ').unwrap_or_default();
    let begins = begins.trim_end();
    match repairs(takes) {
        Some(_) if begins.len() > AGENT_BYTES => {
            Err(format!("{} bytes of a User-Agent; write at most {AGENT_BYTES}", begins.len()))
        }
        Some(repairs) if !begins.is_empty() => Ok((begins.to_owned(), repairs)),
        _ => Err(format!(
            "{typed:?} says not who takes what; write how a User-Agent begins, and \"originals\", \"rtx\" or \"rtx-session\", such as \
             \"GStreamer/ rtx\""
        )),
    }
}

fn repairs(word: &str) -> Option<Repairs> {
    match word {
        "originals" => Some(Repairs::Originals),
        "rtx" => Some(Repairs::Rtx),
        "rtx-session" => Some(Repairs::RtxSession),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_is_how_its_name_begins_and_what_it_takes() {
        assert_eq!(agent("GStreamer/ rtx"), Ok(("GStreamer/".to_owned(), Repairs::Rtx)));
        assert_eq!(agent(" Set top  originals "), Ok(("Set top".to_owned(), Repairs::Originals)));
        let long = format!("{} rtx", "x".repeat(AGENT_BYTES + 1));
        assert_eq!(agent("STB rtx-session"), Ok(("STB".to_owned(), Repairs::RtxSession)));
        for (wrong, says) in [
            ("", "such as \"GStreamer/ rtx\""),
            ("rtx", "such as"),
            (" rtx", "such as"),
            ("Lavf", "such as"),
            ("Lavf never", "such as"),
            (&long, "write at most 128"),
        ] {
            let error = agent(wrong).expect_err(wrong);
            assert!(error.contains(says), "{error}");
        }
    }
}
