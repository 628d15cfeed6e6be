//! What was typed in `[http]`.

use toml::Spanned;

use super::report::Report;
use super::section::{Number, SectionReader, Typed};

pub(super) struct TypedHttp {
    pub(super) spoiled: bool,
    pub(super) listen: Typed<Vec<Spanned<String>>>,
    pub(super) tls_listen: Typed<Vec<Spanned<String>>>,
    pub(super) share_ports: Typed<bool>,
    pub(super) open: Typed<Vec<Spanned<String>>>,
    pub(super) open_channels: Typed<Number>,
    pub(super) interface: Typed<String>,
    pub(super) linger: Typed<String>,
    pub(super) url: Typed<String>,
    pub(super) guide: Typed<String>,
    pub(super) time_zone: Typed<String>,
    pub(super) name: Typed<String>,
    pub(super) tokens: Typed<String>,
}

impl TypedHttp {
    pub(super) fn read(mut from: SectionReader<'_>, report: &mut Report<'_>) -> Self {
        let mut typed = Self {
            spoiled: false,
            listen: from.read("listen", report),
            tls_listen: from.read("tls_listen", report),
            share_ports: from.read("share_ports", report),
            open: from.read("open", report),
            open_channels: from.read("open_channels", report),
            interface: from.read("interface", report),
            linger: from.read("linger", report),
            url: from.read("url", report),
            guide: from.read("guide", report),
            time_zone: from.read("time_zone", report),
            name: from.read("name", report),
            tokens: from.read("tokens", report),
        };
        typed.spoiled = from.finish(report);
        typed
    }
}
