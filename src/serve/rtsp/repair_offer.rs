//! Who is offered to have again what it has lost, and how. Others drop a medium whose profile or payload types they do not know, as
//! VLC and all that stand on live555 do: so where nobody says otherwise it is for those alone who are known to take it.

use crate::relay::OfferRepair;
use crate::wire::sdp::Repairs;

/// How their `User-Agent` begins, and what they take.
const KNOWN: [(&str, Repairs); 2] = [("GStreamer/", Repairs::Rtx), ("Lavf", Repairs::Originals)];

/// What a client of that name is offered of a channel.
pub fn offered(by: OfferRepair, agent: Option<&str>) -> Option<Repairs> {
    match by {
        OfferRepair::Known => {
            let agent = agent?;
            KNOWN.iter().find(|(known, _)| agent.starts_with(known)).map(|(_, repairs)| *repairs)
        }
        OfferRepair::All(repairs) => Some(repairs),
        OfferRepair::Never => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_offered_is_what_a_client_takes_unless_the_channel_says_otherwise() {
        let known = |agent| offered(OfferRepair::Known, agent);
        assert_eq!(known(Some("GStreamer/1.26.0")), Some(Repairs::Rtx));
        assert_eq!(known(Some("Lavf59.27.100")), Some(Repairs::Originals));
        assert_eq!([known(Some("LibVLC/3.0.20")), known(None)], [None, None]);
        assert_eq!(offered(OfferRepair::All(Repairs::Rtx), None), Some(Repairs::Rtx));
        assert_eq!(offered(OfferRepair::Never, Some("GStreamer/1.26.0")), None);
    }
}
