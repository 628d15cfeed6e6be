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
            let from = passed.sender.map_or(0, |sender| sender.ssrc);
            let counts = rtcp::counts(passed.packet);
            assert_eq!(counts.is_some(), passed.sender.is_some());
            let same = rtcp::Renamed { from, to: from, timestamp_shift: 0, counts: None };
            assert_eq!(rtcp::rename(passed.packet, &same), passed.packet, "nothing else is touched");
            // A stream may report twice in one compound: then both of its reports say what was sent.
            let counted = rtcp::rename(passed.packet, &rtcp::Renamed { counts, ..same });
            assert_eq!(counted.len(), passed.packet.len());
            assert_eq!(rtcp::counts(&counted), counts);
            let other = rtcp::Renamed { to: !from, timestamp_shift: 7, ..same };
            let renamed = rtcp::rename(passed.packet, &other);
            let again = rtcp::reflectable(&renamed).expect("well-formed").expect("not empty");
            assert_eq!(again.sender.map(|sender| sender.ssrc), passed.sender.map(|_| !from));
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
    for nack in rtcp::nacks(datagram) {
        assert_eq!(nack.count(), nack.lost().count() as u64);
        assert!(nack.count() <= 17 * datagram.len() as u64 / 4);
    }
}
