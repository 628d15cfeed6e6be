//! A town behind a router that hides it (NAT), for viewers to live in.

use super::network::{Network, masquerade, pass_no_udp, route};

/// Two homes behind one router, which hides them, and one in front of it. The edge is in the story's own network.
pub struct Town {
    router: Network,
    pub homes: [Network; 2],
    pub outside: Network,
}

impl Town {
    /// Where the edge listens.
    pub const EDGE: &str = "10.79.1.1:0";

    pub fn build() -> Self {
        let (router, homes, outside) = (Network::new(), [Network::new(), Network::new()], Network::new());
        router.connect(("wan", "10.79.1.1/24"), ("edge", "10.79.1.2/24"), 1500);
        outside.connect(("lan", "10.79.4.1/24"), ("uplink", "10.79.4.2/24"), 1500);
        outside.within(|| route("10.79.1.0/24", "10.79.4.1"));
        router.within(|| {
            homes[0].connect(("first", "10.79.2.1/24"), ("uplink", "10.79.2.2/24"), 1500);
            homes[1].connect(("second", "10.79.3.1/24"), ("uplink", "10.79.3.2/24"), 1500);
            masquerade("edge");
        });
        router.forward();
        homes[0].within(|| route("10.79.1.0/24", "10.79.2.1"));
        homes[1].within(|| route("10.79.1.0/24", "10.79.3.1"));
        Self { router, homes, outside }
    }

    /// From here on no UDP passes the router, which tells nobody.
    pub fn pass_no_udp(&self) {
        self.router.within(pass_no_udp);
    }
}
