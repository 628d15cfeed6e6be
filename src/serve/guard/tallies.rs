//! What access has come to, in numbers, and the words for it.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::nonces::Standing;

/// The figures of logins.
#[derive(Debug, Clone, Default)]
pub struct AccessStats {
    /// Times that somebody logged in on a connection.
    pub logins: u64,
    /// Requests that were asked for a login, or for another answer, by reason.
    pub challenges: [(&'static str, u64); Challenged::ALL.len()],
    /// Logins that failed, by reason.
    pub failures: [(&'static str, u64); Failed::ALL.len()],
    /// Requests that nobody may make, or not from there, or not yet, by reason.
    pub barred: [(&'static str, u64); Barred::ALL.len()],
    /// Addresses whose failures were forgotten before their time.
    pub forgotten: u64,
    /// Nonces that were.
    pub nonces_forgotten: u64,
}

/// Why somebody is challenged who has not failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Challenged {
    /// It came without a login, as all do.
    New,
    /// Its nonce has expired.
    Expired,
    /// Its nonce is another address's, or of a program that has ended.
    Foreign,
    /// Its nonce was used with this count, or for this answer, before.
    Replayed,
}

impl Challenged {
    pub const ALL: [(Self, &'static str); 4] = [
        (Self::New, "new"),
        (Self::Expired, "expired"),
        (Self::Foreign, "foreign"),
        (Self::Replayed, "replayed"),
    ];

    /// What the standing of a nonce is a reason for; none, if it is good.
    pub fn by(standing: Standing) -> Option<Self> {
        match standing {
            Standing::Good => None,
            Standing::Expired => Some(Self::Expired),
            Standing::Foreign => Some(Self::Foreign),
            Standing::Replayed => Some(Self::Replayed),
        }
    }
}

/// Why a login has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failed {
    /// The header can not be read.
    Malformed,
    /// It is by what was not offered.
    Unsupported,
    /// A password came as it is over a connection that anybody can read.
    Clear,
    /// The password was hashed for another realm.
    Realm,
    /// It was for something else than what was asked for.
    Uri,
    /// There is no such user.
    User,
    /// The password is another one.
    Password,
    /// There is no such token.
    Token,
}

impl Failed {
    pub const ALL: [(Self, &'static str); 8] = [
        (Self::Malformed, "malformed"),
        (Self::Unsupported, "unsupported"),
        (Self::Clear, "basic without TLS"),
        (Self::Realm, "realm"),
        (Self::Uri, "uri"),
        (Self::User, "no such user"),
        (Self::Password, "password"),
        (Self::Token, "token"),
    ];

    /// For the log.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Malformed => "the login can not be read",
            Self::Unsupported => "a login by what was not offered",
            Self::Clear => "a password in the clear",
            Self::Realm => "a login for another realm",
            Self::Uri => "a login for something else",
            Self::User => "no such user",
            Self::Password => "wrong password",
            Self::Token => "wrong token",
        }
    }
}

/// Why a request is refused whoever makes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Barred {
    /// It comes from where it may not.
    Address,
    /// This user may not watch this channel.
    Channel,
    /// Its address has failed too often.
    Failures,
    /// It comes without a token.
    Token,
}

impl Barred {
    pub const ALL: [(Self, &'static str); 4] = [
        (Self::Address, "address"),
        (Self::Channel, "channel"),
        (Self::Failures, "failures"),
        (Self::Token, "no token"),
    ];

    /// For the log.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Address => "not from this address",
            Self::Channel => "not for this user",
            Self::Failures => "too many failed logins",
            Self::Token => "no token",
        }
    }
}

#[derive(Default)]
pub(super) struct Tallies {
    logins: AtomicU64,
    challenges: [AtomicU64; Challenged::ALL.len()],
    failures: [AtomicU64; Failed::ALL.len()],
    barred: [AtomicU64; Barred::ALL.len()],
}

impl Tallies {
    pub fn logged_in(&self) {
        self.logins.fetch_add(1, Relaxed);
    }

    pub fn challenged(&self, why: Challenged) {
        self.challenges[why as usize].fetch_add(1, Relaxed);
    }

    pub fn failed(&self, why: Failed) {
        self.failures[why as usize].fetch_add(1, Relaxed);
    }

    pub fn barred(&self, why: Barred) {
        self.barred[why as usize].fetch_add(1, Relaxed);
    }

    pub fn read(&self, forgotten: u64, nonces_forgotten: u64) -> AccessStats {
        AccessStats {
            logins: self.logins.load(Relaxed),
            challenges: Challenged::ALL
                .map(|(why, label)| (label, self.challenges[why as usize].load(Relaxed))),
            failures: Failed::ALL.map(|(why, label)| (label, self.failures[why as usize].load(Relaxed))),
            barred: Barred::ALL.map(|(why, label)| (label, self.barred[why as usize].load(Relaxed))),
            forgotten,
            nonces_forgotten,
        }
    }
}
