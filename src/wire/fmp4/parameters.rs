//! The parameters of a format, as `a=fmtp:` tells them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Names, in any case, and values.
#[derive(Debug, Default)]
pub(in super::super) struct Parameters<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Parameters<'a> {
    /// `name=value; name=value`.
    pub fn read(text: &'a str) -> Self {
        let parts = text.split(';').filter_map(|part| part.split_once('='));
        Self(parts.map(|(name, value)| (name.trim(), value.trim())).collect())
    }

    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
    }

    /// Numbers of up to 32: they are counts of bits.
    pub fn number(&self, name: &str) -> Option<u32> {
        self.get(name)?.parse().ok().filter(|number| *number <= 32)
    }

    /// Bytes, two digits each.
    pub fn bytes(&self, name: &str) -> Option<Vec<u8>> {
        let digits = self.get(name)?.as_bytes();
        let byte = |pair: &[u8]| {
            let text = std::str::from_utf8(pair).ok()?;
            u8::from_str_radix(text, 16).ok()
        };
        digits.chunks(2).map(byte).collect()
    }

    /// The parameter sets of H.264 (RFC 6184 section 8.1) and H.265 (RFC 7798 section 7.1).
    pub fn sets(&self) -> Vec<Vec<u8>> {
        let names = ["sprop-parameter-sets", "sprop-vps", "sprop-sps", "sprop-pps"];
        let all = names.into_iter().filter_map(|name| self.get(name)).flat_map(|value| value.split(','));
        all.filter_map(|set| STANDARD.decode(set.trim()).ok()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_by_their_names_in_any_case() {
        let read =
            Parameters::read("packetization-mode=1; sprop-Parameter-Sets=Z2QA,aOs=; config=11g0; n=99;x");
        assert_eq!(read.get("Packetization-Mode"), Some("1"));
        assert_eq!(read.sets(), [vec![0x67, 0x64, 0], vec![0x68, 0xeb]]);
        assert_eq!((read.number("n"), read.bytes("config"), read.get("x")), (None, None, None));
        assert_eq!(Parameters::read("CONFIG=1190").bytes("config"), Some(vec![0x11, 0x90]));
    }
}
