//! What must hold for any datagram on an RTCP port. `super::wire` is the crate's wire floor.

use super::wire::rtcp;

pub fn exercise(datagram: &[u8]) {
    match rtcp::reflectable(datagram) {
        Ok(Some(passed)) => {
            assert!(datagram.starts_with(passed.packet));
            let said = rtcp::feedback(passed.packet).expect("what is passed on is itself well-formed");
            assert!(said.goodbyes.is_empty(), "a source's BYE is never passed on");
            let again = rtcp::reflectable(passed.packet).expect("well-formed").expect("not empty");
            assert_eq!(again, passed);
        }
        Ok(None) => {}
        Err(error) => assert!(!error.reason().is_empty()),
    }
    match rtcp::feedback(datagram) {
        Ok(said) => assert!(said.reports.len() <= 31 && said.goodbyes.len() <= 31),
        Err(error) => assert!(!error.reason().is_empty()),
    }
    match rtcp::source_says(datagram) {
        Ok(said) => assert!(said.names.len() <= 31),
        Err(error) => assert!(!error.reason().is_empty()),
    }
}
