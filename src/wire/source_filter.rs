//! From whom a stream is taken: from anybody, from some hosts alone, or from all but some, as hosts ask for it (RFC 3376
//! section 3.2, RFC 3810) and descriptions say it (RFC 4570).

use std::fmt;
use std::net::IpAddr;

/// The most hosts that one filter names: the kernel takes some ten of a group on one socket (net.ipv4.igmp_max_msf).
pub const MAX_HOSTS: usize = 64;

/// The hosts of which packets are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub enum SourceFilter {
    /// Anybody.
    #[default]
    Any,
    /// These alone, at least one: sorted.
    Only(Vec<IpAddr>),
    /// All but these, at least one: sorted.
    AllBut(Vec<IpAddr>),
}

impl SourceFilter {
    /// These alone; anybody where there are none.
    #[must_use]
    pub fn only(hosts: Vec<IpAddr>) -> Self {
        if hosts.is_empty() { Self::Any } else { Self::Only(sorted(hosts)) }
    }

    /// All but these.
    #[must_use]
    pub fn all_but(hosts: Vec<IpAddr>) -> Self {
        if hosts.is_empty() { Self::Any } else { Self::AllBut(sorted(hosts)) }
    }

    /// Those alone that are taken, if they are named.
    #[must_use]
    pub fn named(&self) -> &[IpAddr] {
        if let Self::Only(hosts) = self { hosts } else { &[] }
    }

    /// Those that are not.
    #[must_use]
    pub fn excluded(&self) -> &[IpAddr] {
        if let Self::AllBut(hosts) = self { hosts } else { &[] }
    }

    /// Whether what a host sends is wanted.
    #[must_use]
    pub fn admits(&self, host: IpAddr) -> bool {
        match self {
            Self::Any => true,
            Self::Only(hosts) => hosts.contains(&host),
            Self::AllBut(hosts) => !hosts.contains(&host),
        }
    }

    /// Whether somebody may be of both.
    #[must_use]
    pub fn overlap(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Only(hosts), other) | (other, Self::Only(hosts)) => match other {
                Self::Any => true,
                Self::Only(others) => hosts.iter().any(|host| others.contains(host)),
                Self::AllBut(others) => hosts.iter().any(|host| !others.contains(host)),
            },
            _ => true,
        }
    }
}

impl From<Option<IpAddr>> for SourceFilter {
    fn from(only: Option<IpAddr>) -> Self {
        Self::only(only.into_iter().collect())
    }
}

/// As in "joined for any source".
impl fmt::Display for SourceFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any source"),
            Self::Only(hosts) if hosts.len() == 1 => write!(f, "source {}", hosts[0]),
            Self::Only(hosts) => write!(f, "sources {}", listed(hosts)),
            Self::AllBut(hosts) => write!(f, "any source but {}", listed(hosts)),
        }
    }
}

fn sorted(mut hosts: Vec<IpAddr>) -> Vec<IpAddr> {
    hosts.sort_unstable();
    hosts.dedup();
    hosts
}

fn listed(hosts: &[IpAddr]) -> String {
    hosts.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts<const N: usize>(last: [u8; N]) -> Vec<IpAddr> {
        last.map(|last| IpAddr::from([192, 0, 2, last])).to_vec()
    }

    #[test]
    fn the_same_hosts_are_the_same_filter() {
        assert_eq!(SourceFilter::only(hosts([2, 1, 2])), SourceFilter::only(hosts([1, 2])));
        assert_eq!(
            [SourceFilter::only(vec![]), SourceFilter::all_but(vec![]), None.into()],
            [const { SourceFilter::Any }; 3]
        );
    }

    #[test]
    fn filters_overlap_where_somebody_is_of_both() {
        let (one, two, both) = (hosts([1]), hosts([2]), hosts([1, 2]));
        let only = |hosts: &Vec<IpAddr>| SourceFilter::only(hosts.clone());
        let all_but = |hosts: &Vec<IpAddr>| SourceFilter::all_but(hosts.clone());
        for (first, second, overlap) in [
            (SourceFilter::Any, SourceFilter::Any, true),
            (SourceFilter::Any, only(&one), true),
            (SourceFilter::Any, all_but(&one), true),
            (only(&one), only(&two), false),
            (only(&one), only(&both), true),
            (only(&one), all_but(&both), false),
            (only(&both), all_but(&one), true),
            (all_but(&one), all_but(&two), true),
        ] {
            assert_eq!([first.overlap(&second), second.overlap(&first)], [overlap; 2], "{first}; {second}");
        }
    }

    #[test]
    fn who_is_named_is_admitted_or_is_not() {
        let [one, two] = [1, 2].map(|last| hosts([last])[0]);
        let admits = |filter: SourceFilter| [one, two].map(|host| filter.admits(host));
        assert_eq!(admits(SourceFilter::Any), [true, true]);
        assert_eq!(admits(SourceFilter::only(vec![one])), [true, false]);
        assert_eq!(admits(SourceFilter::all_but(vec![one])), [false, true]);
    }

    #[test]
    fn it_is_told_in_words() {
        let told = [
            SourceFilter::Any,
            SourceFilter::only(hosts([1])),
            SourceFilter::only(hosts([1, 2])),
            SourceFilter::all_but(hosts([1])),
        ];
        assert_eq!(
            told.map(|filter| filter.to_string()),
            ["any source", "source 192.0.2.1", "sources 192.0.2.1, 192.0.2.2", "any source but 192.0.2.1"]
        );
    }
}
