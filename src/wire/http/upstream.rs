//! What comes up a tunnel: the body of a POST, bytes of RTSP in base64 (RFC 4648), with padding wherever the client has sent.
//!
//! It ends with the connection, whatever length its head names: one has to be there for proxies, and clients say more than that.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The body of one POST.
#[derive(Debug, Clone, Default)]
pub struct Upstream {
    /// Characters of a group of four that is not whole.
    begun: [u8; 4],
    count: usize,
}

/// What is no base64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not base64")]
pub struct NotBase64;

impl Upstream {
    /// What has come of a group that is not whole.
    #[must_use]
    pub fn begun(&self) -> &[u8] {
        &self.begun[..self.count]
    }

    /// Takes in what has come of the body, and adds what it says to `said`: three quarters of it at most. Line ends are passed
    /// over.
    ///
    /// # Errors
    /// When it is no base64; what was said before is said.
    pub fn take(&mut self, bytes: &[u8], said: &mut Vec<u8>) -> Result<(), NotBase64> {
        for &byte in bytes.iter().filter(|byte| !byte.is_ascii_whitespace()) {
            self.begun[self.count] = byte;
            self.count += 1;
            if self.count == self.begun.len() {
                self.count = 0;
                let mut three = [0; 3];
                let length = STANDARD.decode_slice(self.begun, &mut three).map_err(|_| NotBase64)?;
                said.extend_from_slice(&three[..length]);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn said(parts: &[&[u8]]) -> Result<Vec<u8>, NotBase64> {
        let (mut upstream, mut said) = (Upstream::default(), Vec::new());
        parts.iter().try_for_each(|part| upstream.take(part, &mut said))?;
        Ok(said)
    }

    #[test]
    fn each_request_may_be_padded_by_itself() {
        assert_eq!(said(&[b"T1A=T1BUSQ==\r\nT04="]), Ok(b"OPOPTION".into()));
    }

    #[test]
    fn what_is_no_base64_is_told() {
        for wrong in ["T1B_", "=T1B", "T=BU", "OPTIONS * RTSP/1.0"] {
            assert_eq!(said(&[wrong.as_bytes()]), Err(NotBase64), "{wrong}");
        }
    }

    proptest! {
        /// Split at each point in turn, and in three.
        #[test]
        fn what_is_said_does_not_depend_on_how_it_comes(
            requests in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 1..4),
            second in any::<prop::sample::Index>(),
        ) {
            let body: String = requests.iter().map(|request| STANDARD.encode(request) + "\r\n").collect();
            let (body, whole) = (body.as_bytes(), requests.concat());
            for at in 0..=body.len() {
                let (first, rest) = body.split_at(at);
                prop_assert_eq!(said(&[first, rest]), Ok(whole.clone()));
                let (middle, last) = rest.split_at(second.index(rest.len() + 1));
                prop_assert_eq!(said(&[first, middle, last]), Ok(whole.clone()));
            }
        }
    }
}
