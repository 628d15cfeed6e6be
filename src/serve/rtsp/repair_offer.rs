//! Who is offered to have again what it has lost, and how. Others drop a medium whose profile or payload types they do not know, as
//! VLC and all that stand on live555 do: so where nobody says otherwise it is for those alone who are known to take it.

use crate::relay::OfferRepair;
use crate::wire::sdp::Repairs;

/// Those who are known to take it: how their `User-Agent` begins, and what they take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepairAgents(pub Vec<(String, Repairs)>);

impl Default for RepairAgents {
    fn default() -> Self {
        Self(vec![("GStreamer/".to_owned(), Repairs::Rtx), ("Lavf".to_owned(), Repairs::Originals)])
    }
}

impl RepairAgents {
    /// What a client of that name is offered of a channel: where several begin so, what the first of them takes.
    pub fn offered(&self, by: OfferRepair, agent: Option<&str>) -> Option<Repairs> {
        let known = || {
            let agent = agent?;
            self.0.iter().find(|(known, _)| agent.starts_with(known)).map(|(_, repairs)| *repairs)
        };
        match by {
            OfferRepair::Known => known(),
            OfferRepair::KnownOriginals => known().filter(|repairs| *repairs == Repairs::Originals),
            OfferRepair::All(repairs) => Some(repairs),
            OfferRepair::Never => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_offered_is_what_a_client_takes_unless_the_channel_says_otherwise() {
        let agents = RepairAgents::default();
        let known = |agent| agents.offered(OfferRepair::Known, agent);
        assert_eq!(known(Some("GStreamer/1.26.0")), Some(Repairs::Rtx));
        assert_eq!(known(Some("Lavf59.27.100")), Some(Repairs::Originals));
        assert_eq!([known(Some("LibVLC/3.0.20")), known(None)], [None, None]);
        let of_films = |agent| agents.offered(OfferRepair::KnownOriginals, Some(agent));
        assert_eq!(
            [of_films("GStreamer/1.26.0"), of_films("Lavf59.27.100")],
            [None, Some(Repairs::Originals)]
        );
        assert_eq!(agents.offered(OfferRepair::All(Repairs::Rtx), None), Some(Repairs::Rtx));
        assert_eq!(agents.offered(OfferRepair::Never, Some("GStreamer/1.26.0")), None);
    }

    #[test]
    fn of_several_that_fit_the_first_decides() {
        let agents =
            RepairAgents(vec![("Box/2".to_owned(), Repairs::Originals), ("Box/".to_owned(), Repairs::Rtx)]);
        let known = |agent| agents.offered(OfferRepair::Known, Some(agent));
        assert_eq!([known("Box/2.1"), known("Box/3")], [Some(Repairs::Originals), Some(Repairs::Rtx)]);
        assert_eq!(known("Lavf59.27.100"), None);
    }
}
