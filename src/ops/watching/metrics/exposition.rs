//! How metrics are written down, as a scraper asks for it: Prometheus' text format or OpenMetrics, plain or gzipped. A pure
//! function of families and of what is accepted.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use prometheus::proto::MetricFamily;
use prometheus::{TEXT_FORMAT, TextEncoder};

use super::open_metrics;

/// What a scraper accepts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Accepts {
    /// It would rather have OpenMetrics.
    pub open_metrics: bool,
    /// It would rather have less to read.
    pub gzip: bool,
}

/// Metrics, written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exposition {
    /// The text, encoded as that says.
    pub bytes: Vec<u8>,
    /// Its format, as in Content-Type.
    pub content_type: &'static str,
    /// What to undo to read it, as in Content-Encoding.
    pub encoding: Option<&'static str>,
}

impl Accepts {
    /// By the values of the headers Accept and Accept-Encoding, all of each joined by commas. The text format is what everybody
    /// gets who does not name OpenMetrics, by the version that is spoken here or by none.
    pub fn of(accept: &str, accept_encoding: &str) -> Self {
        let media = || accept.split(',').filter_map(Choice::read);
        let is_ours = |choice: &Choice<'_>| {
            choice.is("application/openmetrics-text")
                && choice.parameter("version").is_none_or(|version| version == open_metrics::VERSION)
        };
        let text = ["text/plain", "text/*", "*/*"];
        let text = text.iter().find_map(|name| best(media().filter(|choice| choice.is(name))));
        let open_metrics = best(media().filter(is_ours)).unwrap_or(0.0);
        let coding =
            |name: &str| best(accept_encoding.split(',').filter_map(Choice::read).filter(|c| c.is(name)));
        let gzip = coding("gzip").or_else(|| coding("x-gzip")).or_else(|| coding("*")).unwrap_or(0.0);
        Self {
            open_metrics: open_metrics > 0.0 && open_metrics >= text.unwrap_or(0.0),
            gzip: gzip > 0.0 && gzip >= coding("identity").unwrap_or(0.0),
        }
    }
}

/// Writes families down.
pub(super) fn exposition(families: &[MetricFamily], accepts: Accepts) -> Exposition {
    let (text, content_type) = if accepts.open_metrics {
        (open_metrics::encode(families), open_metrics::CONTENT_TYPE)
    } else {
        let text = TextEncoder::new().encode_to_string(families);
        let unwritten = |error| format!("# the metrics can not be rendered: {error}\n");
        (text.unwrap_or_else(unwritten), TEXT_FORMAT)
    };
    let zipped = if accepts.gzip { gzip(text.as_bytes()) } else { None };
    let encoding = zipped.is_some().then_some("gzip");
    Exposition { bytes: zipped.unwrap_or_else(|| text.into_bytes()), content_type, encoding }
}

/// As fast as can be: names repeat so much that little is left all the same.
fn gzip(text: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(text.len() / 8), Compression::fast());
    encoder.write_all(text).ok()?;
    encoder.finish().ok()
}

/// One of the things that a header accepts.
struct Choice<'h> {
    name: &'h str,
    parameters: &'h str,
}

impl<'h> Choice<'h> {
    fn read(text: &'h str) -> Option<Self> {
        let (name, parameters) = text.split_once(';').unwrap_or((text, ""));
        let name = name.trim();
        (!name.is_empty()).then_some(Self { name, parameters })
    }

    fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    fn parameter(&self, name: &str) -> Option<&'h str> {
        let mut parameters = self.parameters.split(';').filter_map(|pair| pair.split_once('='));
        let found = parameters.find(|(key, _)| key.trim().eq_ignore_ascii_case(name))?;
        Some(found.1.trim().trim_matches('"'))
    }

    /// From 0, not at all, to 1. What can not be read is as good as nothing.
    fn quality(&self) -> f64 {
        self.parameter("q").map_or(1.0, |q| q.parse().unwrap_or(0.0))
    }
}

fn best<'h>(choices: impl Iterator<Item = Choice<'h>>) -> Option<f64> {
    choices.map(|choice| choice.quality()).reduce(f64::max)
}

#[cfg(test)]
mod tests {
    use super::super::families::Families;
    use super::*;
    use flate2::read::GzDecoder;
    use std::io::Read;

    fn of(accept: &str, encoding: &str) -> [bool; 2] {
        let Accepts { open_metrics, gzip } = Accepts::of(accept, encoding);
        [open_metrics, gzip]
    }

    #[test]
    fn open_metrics_is_for_those_who_name_it_and_like_it_no_less() {
        // What Prometheus 2.42 and 3 say.
        let prometheus = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                          text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        assert_eq!(of(prometheus, "gzip"), [true, true]);
        let prometheus = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
                          application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;q=0.3,*/*;q=0.2";
        assert_eq!(of(prometheus, ""), [true, false]);
        for other in [
            "",
            "*/*",
            "application/*",
            "text/plain, application/openmetrics-text;q=0.9",
            "*/*, application/openmetrics-text; q=0.5",
            "application/openmetrics-text;q=0",
            "application/openmetrics-text;q=x",
            "application/openmetrics-text; version=2.0.0",
            "application/openmetrics-text-too",
            ",;q=1,",
        ] {
            assert_eq!(of(other, ""), [false, false], "{other}");
        }
        for ours in [
            "Application/OpenMetrics-Text",
            "text/plain;q=0.4, application/openmetrics-text; version=\"1.0.0\" ; q=0.5",
            "text/plain;q=0.1, */*;q=1, application/openmetrics-text;q=0.5",
        ] {
            assert_eq!(of(ours, ""), [true, false], "{ours}");
        }
    }

    #[test]
    fn gzip_is_for_those_who_accept_it_and_like_it_no_less() {
        for yes in [
            "gzip",
            "GZIP;q=0.1",
            "deflate, x-gzip",
            "*",
            "br;q=1.0, gzip;q=0.8, *;q=0.1",
            "identity;q=0.5, gzip",
        ] {
            assert_eq!(of("", yes), [false, true], "{yes}");
        }
        for no in
            ["", "identity", "br, deflate", "gzip;q=0", "*;q=0", "gzip;q=0, *", "gzip;q=0.2, identity;q=0.3"]
        {
            assert_eq!(of("", no), [false, false], "{no}");
        }
    }

    #[test]
    fn what_is_zipped_is_the_same_text() {
        let mut families = Families::default();
        families.counter("mirrorball_sessions_total", "Sessions.", &[("channel", "a\"b\\c\nd")], 3);
        let families = families.into_sorted();
        let written = |open_metrics, gzip| exposition(&families, Accepts { open_metrics, gzip });
        for open_metrics in [false, true] {
            let (plain, zipped) = (written(open_metrics, false), written(open_metrics, true));
            assert_eq!((plain.encoding, zipped.encoding), (None, Some("gzip")));
            assert_eq!(plain.content_type, zipped.content_type);
            let mut text = Vec::new();
            GzDecoder::new(&zipped.bytes[..]).read_to_end(&mut text).expect("gzip");
            assert_eq!(text, plain.bytes);
        }
        let text = written(false, false);
        assert_eq!(text.content_type, "text/plain; version=0.0.4");
        assert!(text.bytes.starts_with(b"# HELP mirrorball_sessions_total Sessions.\n"));
        assert!(!text.bytes.ends_with(b"# EOF\n"));
    }
}
