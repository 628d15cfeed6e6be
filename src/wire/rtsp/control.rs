//! Where the controls of a description lead (RFC 2326 appendix C.1), as a client asks for them.
//!
//! Whatever host a server names, the connection is to the one that was asked: names and addresses in descriptions are
//! those of a network behind a NAT, or of a name that leads elsewhere. Of a control path and query are taken alone.

use rtsp_types::Url;

/// What controls are relative to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base {
    /// Scheme and authority, as in `rtsp://edge:8554`.
    place: String,
    /// The base itself, behind that.
    path: String,
}

impl Base {
    /// What a server says (Content-Base, Content-Location), or the URL that it was asked about.
    #[must_use]
    pub fn new(asked: &Url, said: Option<&str>) -> Self {
        let asked = asked.as_str();
        let (place, own) = asked.split_at(path_start(asked));
        let path = match said.map(str::trim).filter(|said| !said.is_empty()) {
            None => own.to_owned(),
            Some(said) if is_absolute(said) => said[path_start(said)..].to_owned(),
            Some(said) if said.starts_with('/') => said.to_owned(),
            Some(said) => appended(own, said),
        };
        Self { place: place.to_owned(), path }
    }

    /// The URLs that a control may mean, the likeliest first; there is one at least, unless it is no URL.
    ///
    /// A relative control is appended as a part of its own, as players do it and servers expect, even where RFC 3986
    /// would replace the base's last part. Behind a query most servers expect it too, and some before it.
    #[must_use]
    pub fn leads(&self, control: Option<&str>) -> Vec<Url> {
        let control = control.map(str::trim).filter(|control| !control.is_empty() && *control != "*");
        let paths = match control {
            None => vec![self.path.clone()],
            Some(control) if is_absolute(control) => vec![control[path_start(control)..].to_owned()],
            Some(control) if control.starts_with('/') => vec![control.to_owned()],
            Some(control) => match self.path.split_once('?') {
                None => vec![appended(&self.path, control)],
                Some((path, query)) => {
                    let before = appended(path, control);
                    let before = if control.contains('?') { before } else { format!("{before}?{query}") };
                    vec![appended(&self.path, control), before]
                }
            },
        };
        paths.iter().filter_map(|path| Url::parse(&format!("{}{path}", self.place)).ok()).collect()
    }
}

fn is_absolute(text: &str) -> bool {
    let scheme = text.split_once("://").map(|(scheme, _)| scheme);
    scheme.is_some_and(|scheme| !scheme.is_empty() && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

/// Where the path begins, or the query where there is none.
fn path_start(url: &str) -> usize {
    let host = url.find("://").map_or(0, |at| at + 3);
    url[host..].find(['/', '?', '#']).map_or(url.len(), |at| host + at)
}

fn appended(base: &str, part: &str) -> String {
    format!("{}/{part}", base.strip_suffix('/').unwrap_or(base))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn leads(asked: &str, said: Option<&str>, control: Option<&str>) -> Vec<String> {
        let base = Base::new(&Url::parse(asked).expect("a URL"), said);
        base.leads(control).into_iter().map(String::from).collect()
    }

    #[test]
    fn controls_are_relative_absolute_or_missing() {
        for (control, expected) in [
            (Some("trackID=1"), "rtsp://edge:8554/news/trackID=1"),
            (Some("rtsp://10.0.0.1/other"), "rtsp://edge:8554/other"),
            (Some("RTSP://10.0.0.1:99/other?x=y"), "rtsp://edge:8554/other?x=y"),
            (Some("/vod/1"), "rtsp://edge:8554/vod/1"),
            (Some("*"), "rtsp://edge:8554/news/"),
            (Some(" "), "rtsp://edge:8554/news/"),
            (None, "rtsp://edge:8554/news/"),
        ] {
            let said = Some("rtsp://edge:8554/news/");
            assert_eq!(leads("rtsp://edge:8554/news", said, control), [expected], "{control:?}");
        }
    }

    #[test]
    fn the_host_is_always_the_one_that_was_asked() {
        let axis = |said, control| leads("rtsp://192.0.2.1/axis/media.amp?sw=true", said, Some(control));
        let media = "rtsp://10.0.0.9/axis/media.amp/stream=0?sw=true";
        for said in [Some("rtsp://10.0.0.9/axis/media.amp/"), Some("rtsp://camera.local/x"), None] {
            assert_eq!(axis(said, media), ["rtsp://192.0.2.1/axis/media.amp/stream=0?sw=true"], "{said:?}");
        }
        let whole = axis(Some("rtsp://10.0.0.9/axis/media.amp/"), "*");
        assert_eq!(whole, ["rtsp://192.0.2.1/axis/media.amp/"]);
    }

    #[test]
    fn a_base_may_be_anything() {
        for (asked, said, expected) in [
            ("rtsp://edge/news", None, "rtsp://edge/news/track1"),
            ("rtsp://edge/news", Some("rtsp://edge/news"), "rtsp://edge/news/track1"),
            ("rtsp://edge/news", Some("/live/"), "rtsp://edge/live/track1"),
            ("rtsp://edge/news", Some("live"), "rtsp://edge/news/live/track1"),
            ("rtsp://edge/news", Some(" "), "rtsp://edge/news/track1"),
            ("rtsp://edge", None, "rtsp://edge/track1"),
            ("rtsp://[2001:db8::1]:8554/a", Some("rtsp://x"), "rtsp://[2001:db8::1]:8554/track1"),
            ("rtsps://edge/news", Some("rtsp://edge/news/"), "rtsps://edge/news/track1"),
        ] {
            assert_eq!(leads(asked, said, Some("track1")), [expected], "{asked} {said:?}");
        }
    }

    #[test]
    fn behind_a_query_or_before_it() {
        assert_eq!(
            leads("rtsp://edge/cam?ch=1", None, Some("trackID=1")),
            ["rtsp://edge/cam?ch=1/trackID=1", "rtsp://edge/cam/trackID=1?ch=1"]
        );
        assert_eq!(
            leads("rtsp://edge/cam?ch=1", None, Some("trackID=1?ch=2"))[1],
            "rtsp://edge/cam/trackID=1?ch=2"
        );
        assert_eq!(leads("rtsp://edge?ch=1", None, Some("t"))[0], "rtsp://edge?ch=1/t");
    }

    proptest! {
        #[test]
        fn nothing_leads_to_another_host(said in "\\PC{0,30}|rtsp://[ -~]{0,20}", control in "\\PC{0,30}|[a-z]{1,4}://[ -~é]{0,20}") {
            let base = Base::new(&Url::parse("rtsp://edge:8554/news?x").expect("a URL"), Some(&said));
            for url in base.leads(Some(&control)) {
                prop_assert_eq!((url.host_str(), url.port(), url.scheme()), (Some("edge"), Some(8554), "rtsp"));
            }
        }
    }
}
