//! What a description says of how its first payload types are coded.

use super::filter::values;
use super::presentation::Presentation;

impl Presentation {
    /// The parameters of the first payload type of a track, as `a=fmtp:` has them; tracks are counted from 0.
    #[must_use]
    pub fn parameters(&self, track: usize) -> Option<&str> {
        let payload_type = self.tracks.get(track)?.payload_types.first()?.to_string();
        let mut all = values(&self.session.medias.get(track)?.attributes, "fmtp").map(str::trim_start);
        all.find_map(|value| value.split_once(' ').filter(|(of, _)| *of == payload_type))
            .map(|(_, said)| said)
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;

    #[test]
    fn parameters_are_those_of_the_first_payload_type() {
        let head = "v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=-\r\nc=IN IP4 239.1.1.1\r\nt=0 0\r\n";
        let medium =
            "m=video 5004 RTP/AVP 96 97\r\na=fmtp:97 apt=96\r\na=fmtp:96 profile-level-id=42c00b; a=b\r\n";
        let text = format!("{head}{medium}m=audio 5006 RTP/AVP 0\r\n");
        let read = super::Presentation::parameters;
        let presentation = parse(text.as_bytes()).expect("a description");
        assert_eq!(read(&presentation, 0), Some("profile-level-id=42c00b; a=b"));
        assert_eq!((read(&presentation, 1), read(&presentation, 2)), (None, None));
    }
}
