//! What must hold for any Authorization header. `super::wire` is the crate's wire floor.

use super::wire::rtsp::authorization::{self, Credentials, Unusable};
use super::wire::rtsp::digest::Ha1;

pub fn exercise(header: &[u8]) {
    let header = String::from_utf8_lossy(header);
    match authorization::parse(&header) {
        Ok(Credentials::Digest(answer)) => {
            let nobody = Ha1::of("nobody", "nowhere", "a password that no header was made with");
            assert!(!answer.is_right(&nobody, "DESCRIBE"));
        }
        Ok(Credentials::Basic { user, password }) => {
            assert!(!user.contains(':') && user.len() + password.len() < header.len());
        }
        Err(Unusable::Malformed | Unusable::Unsupported) => {}
    }
}
