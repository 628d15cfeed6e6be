//! Who may watch, and from where: `[access]`, and what channels say of it. Reads the file of users to tell what is wrong with
//! it before anybody wants to log in.

use std::collections::BTreeSet;
use std::path::Path;

use ipnet::IpNet;
use toml::Spanned;

use super::report::Report;
use super::scalar;
use super::section::Typed;
use super::truth::AccessConfig;
use super::typed::TypedAccess;
use super::unreadable::why_no_users;
use super::within::{duration_within, number_within, parsed};
use crate::serve::{Networks, Rule, Users, Who, check_name, read_users};

/// Entries of one list.
const ENTRIES: usize = 1024;

/// What a channel may refer to.
pub(super) struct Door {
    /// The users there are, where their file is named and can be read.
    users: Option<Users>,
    has_users: bool,
}

pub(super) fn access(typed: &TypedAccess, directory: &Path, report: &mut Report<'_>) -> (AccessConfig, Door) {
    let file = typed.users.as_ref().map(|file| directory.join(file.get_ref()));
    let read = |_: &str| {
        let file = file.as_deref().unwrap_or(Path::new(""));
        read_users(file).map_err(|error| format!("{}: {}", file.display(), why_no_users(file, &error)))
    };
    let users = parsed(&typed.users, "[access] users", read, report);
    let config = AccessConfig {
        networks: networks("[access]", &typed.allow, &typed.deny, report),
        nonce_lifetime: duration_within(
            &typed.nonce_lifetime,
            "[access] nonce_lifetime",
            "5min",
            ["1s", "24h"],
            report,
        ),
        failures_per_address: number_within(
            &typed.failures_per_address,
            "[access] failures_per_address",
            10,
            1..=1_000_000,
            report,
        ),
        failure_pause: duration_within(
            &typed.failure_pause,
            "[access] failure_pause",
            "60s",
            ["1s", "24h"],
            report,
        ),
        users: file,
    };
    (config, Door { users, has_users: typed.users.is_some() })
}

/// What was typed of who may watch something.
pub(super) struct Watchers<'t> {
    /// How errors name it.
    pub place: &'t str,
    pub users: &'t Typed<Vec<Spanned<String>>>,
    pub public: &'t Typed<bool>,
    pub allow: &'t Typed<Vec<Spanned<String>>>,
    pub deny: &'t Typed<Vec<Spanned<String>>>,
}

/// What is otherwise for one channel, or library.
pub(super) fn rule(typed: &Watchers<'_>, door: &Door, report: &mut Report<'_>) -> Rule {
    let networks = networks(typed.place, typed.allow, typed.deny, report);
    let is_public = typed.public.as_ref().is_some_and(|public| *public.get_ref());
    let who = match (typed.users, is_public) {
        (None, false) => Who::Users,
        (None, true) => {
            if let Some(public) = typed.public.as_ref().filter(|_| !door.has_users) {
                let note = "public, and so are all: no [access] users names a file; leave it out";
                report.warn(public.span().start, format!("{}: {note}", typed.place));
            }
            Who::Everybody
        }
        (Some(users), true) => {
            let wrong = "both users and public; leave one out";
            report.add(users.span().start, format!("{}: {wrong}", typed.place));
            Who::Users
        }
        (Some(users), false) => Who::Only(names(users, typed.place, door, report)),
    };
    Rule { networks, who }
}

fn names(
    users: &Spanned<Vec<Spanned<String>>>,
    place: &str,
    door: &Door,
    report: &mut Report<'_>,
) -> Vec<String> {
    let offset = users.span().start;
    if !door.has_users {
        let wrong =
            "users, and no [access] users names the file where they are; write it, or leave users out";
        report.add(offset, format!("{place}: {wrong}"));
    }
    let mut names = BTreeSet::new();
    for name in entries(users, &format!("{place}: users"), "[\"anna\"]", report) {
        let (offset, name) = (name.span().start, name.get_ref());
        if let Err(wrong) = check_name(name) {
            report.add(offset, format!("{place}: users: {wrong}"));
        } else if !names.insert(name.clone()) {
            report.add(offset, format!("{place}: users: {name} is there twice; leave one out"));
        } else if door.users.as_ref().is_some_and(|users| users.find(name).is_none()) {
            report.warn(
                offset,
                format!("{place}: there is no user {name} yet; `mirrorball user add` makes one"),
            );
        }
    }
    names.into_iter().collect()
}

fn networks(
    place: &str,
    allow: &Typed<Vec<Spanned<String>>>,
    deny: &Typed<Vec<Spanned<String>>>,
    report: &mut Report<'_>,
) -> Networks {
    let mut list = |typed: &Typed<Vec<Spanned<String>>>, key: &str| {
        let place = format!("{place} {key}");
        typed.as_ref().map(|typed| network_list(typed, &place, report))
    };
    Networks { allow: list(allow, "allow"), deny: list(deny, "deny").unwrap_or_default() }
}

pub(super) fn network_list(
    typed: &Spanned<Vec<Spanned<String>>>,
    place: &str,
    report: &mut Report<'_>,
) -> Vec<IpNet> {
    let mut networks = Vec::new();
    for text in entries(typed, place, "[\"10.0.0.0/8\"]", report) {
        match scalar::network(text.get_ref()) {
            Ok(network) if networks.contains(&network) => {
                report.add(text.span().start, format!("{place}: {network} is there twice; leave one out"));
            }
            Ok(network) => networks.push(network),
            Err(wrong) => report.add(text.span().start, format!("{place}: {wrong}")),
        }
    }
    networks
}

/// What is in a list that is there: nothing is meant by one without entries.
pub(super) fn entries<'t>(
    typed: &'t Spanned<Vec<Spanned<String>>>,
    place: &str,
    example: &str,
    report: &mut Report<'_>,
) -> &'t [Spanned<String>] {
    let count = typed.get_ref().len();
    if !(1..=ENTRIES).contains(&count) {
        let wrong =
            format!("{place}: {count} entries; write 1 to {ENTRIES}, such as {example}, or leave it out");
        report.add(typed.span().start, wrong);
    }
    &typed.get_ref()[..count.min(ENTRIES)]
}
