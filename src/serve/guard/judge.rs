//! The judgement: who asks, with what proof, from where, for what.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::acquaintance::Acquaintance;
use super::failures::{FailureLimits, Failures};
use super::networks::Networks;
use super::nonces::Nonces;
use super::tallies::{AccessStats, Barred, Challenged, Failed, Tallies};
use super::users::Users;
use super::users_file::{UsersError, UsersFile};
use crate::event::{Follows, Timers, lock};
use crate::wire::rtsp::authorization::{self, Credentials, Unusable};
use crate::wire::rtsp::digest::{DigestAnswer, Ha1, challenges};
use crate::wire::rtsp::{Method, Target};

/// Where no random bits are to be had, somebody may come back after so long.
const NO_RANDOM: Duration = Duration::from_secs(1);

/// Who may watch what.
#[derive(Debug, Clone)]
pub struct AccessConfig {
    /// The file of users; without it nobody has to log in.
    pub users: Option<PathBuf>,
    /// From where all channels may be watched.
    pub networks: Networks,
    /// How much an address may fail.
    pub failures: FailureLimits,
    /// How long a nonce is good without being used.
    pub nonce_lifetime: Duration,
    /// By which requests over HTTP may do without a login; where there are no users they need one.
    pub tokens: Vec<String>,
    /// What is otherwise for a channel, by its name.
    pub channels: HashMap<String, Rule>,
}

/// What is otherwise for one channel.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rule {
    /// From where it may be watched.
    pub networks: Networks,
    /// By whom.
    pub who: Who,
}

/// Who may watch a channel.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Who {
    /// Any user whose own channels it is among; anybody where there are no users.
    #[default]
    Users,
    /// These of them.
    Only(Vec<String>),
    /// Anybody.
    Everybody,
}

/// A request, as far as it matters who may make it.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'r> {
    /// Its method.
    pub method: &'r Method,
    /// What its URI names.
    pub target: &'r Target,
    /// The channel that it is about, by its URI or by the session that it names; it need not exist.
    pub channel: Option<&'r str>,
    /// Whether it names a session of the client's, which even OPTIONS keeps alive.
    pub names_session: bool,
    /// Its Authorization header, or several as one list.
    pub authorization: Option<&'r str>,
    /// Who makes it.
    pub client: IpAddr,
    /// Whether nobody else can read it.
    pub over_tls: bool,
    /// What it has beside that over HTTP.
    pub over_http: Option<OverHttp<'r>>,
}

/// A request over HTTP.
#[derive(Debug, Clone, Copy, Default)]
pub struct OverHttp<'r> {
    /// Its target, as it was written.
    pub uri: &'r str,
    /// A token in its query.
    pub token: Option<&'r str>,
    /// It is to be asked for a login, though there may be something to see without one.
    pub wants_login: bool,
}

/// What is to be done with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// What it asks for.
    Allowed,
    /// 401 with these in headers of their own.
    Challenge {
        /// Values of WWW-Authenticate, in their order.
        challenges: Vec<String>,
        /// Why the login that came with it has failed, if one has.
        failed: Option<&'static str>,
    },
    /// 403, and why.
    Forbidden(&'static str),
    /// 503 with Retry-After, and why.
    NotNow(Duration, &'static str),
}

/// Judges requests.
pub struct Access {
    door: Mutex<Arc<DoorRules>>,
    pub(super) failures: Failures,
    nonces: Nonces,
    pub(super) channels: Mutex<HashMap<String, Arc<Rule>>>,
    /// What the passwords of users who do not exist are held against: they take as long to refuse as others.
    nobody: Ha1,
    pub(super) tallies: Tallies,
}

/// What holds for all channels.
pub struct DoorRules {
    pub(super) users: Option<Arc<UsersFile>>,
    pub(super) networks: Networks,
    pub(super) tokens: Vec<String>,
}

impl DoorRules {
    /// Reads the file of users, if there is one.
    ///
    /// # Errors
    /// Why it can not be used.
    pub fn of(config: AccessConfig) -> Result<Self, UsersError> {
        let AccessConfig { users, networks, tokens, .. } = config;
        Ok(Self { users: users.map(UsersFile::open).transpose()?.map(Arc::new), networks, tokens })
    }
}

impl Access {
    /// Reads the file of users, if there is one.
    ///
    /// # Errors
    /// Why it can not be used.
    pub fn new(config: AccessConfig) -> Result<Self, UsersError> {
        let channels = config.channels.iter().map(|(name, rule)| (name.clone(), Arc::new(rule.clone())));
        Ok(Self {
            failures: Failures::new(config.failures),
            nonces: Nonces::new(config.nonce_lifetime),
            channels: Mutex::new(channels.collect()),
            door: Mutex::new(Arc::new(DoorRules::of(config)?)),
            nobody: Ha1::of("", "", ""),
            tallies: Tallies::default(),
        })
    }

    /// Anybody may watch all, from anywhere.
    #[cfg(all(test, not(model)))]
    pub fn to_all() -> Self {
        let failures = FailureLimits { most: 1, pause: Duration::ZERO };
        let (networks, tokens, channels) = (Networks::default(), Vec::new(), HashMap::new());
        let nonce_lifetime = Duration::ZERO;
        let config = AccessConfig { users: None, networks, failures, nonce_lifetime, tokens, channels };
        Self::new(config).expect("there is no file")
    }

    /// Judges requests for a channel by this rule from now on.
    pub fn set_rule(&self, channel: &str, rule: Rule) {
        lock(&self.channels).insert(channel.to_owned(), Arc::new(rule));
    }

    /// Judges them as those for a channel that there is not.
    pub fn forget_rule(&self, channel: &str) {
        lock(&self.channels).remove(channel);
    }

    /// Looks from now on whether the file of users has changed.
    pub fn watch_users(&self, timers: &Arc<Timers>) {
        if let Some(file) = &self.door().users {
            file.look_each_second(timers);
        }
    }

    /// Judges by these rules from now on.
    pub fn judge_by(&self, rules: DoorRules, timers: &Arc<Timers>) {
        *lock(&self.door) = Arc::new(rules);
        self.watch_users(timers);
    }

    pub(super) fn door(&self) -> Arc<DoorRules> {
        lock(&self.door).clone()
    }

    /// Its figures.
    #[must_use]
    pub fn stats(&self) -> AccessStats {
        let (failures, nonces) = (&self.failures.forgotten, &self.nonces.forgotten);
        self.tallies.read(failures.load(Relaxed), nonces.load(Relaxed))
    }

    /// What is to be done with a request that comes by the connection of this acquaintance.
    pub fn judge(&self, asked: &Asked<'_>, known: &mut Acquaintance, now: Instant) -> Verdict {
        let rule = asked.channel.and_then(|name| self.rule(name));
        let door = self.door();
        if !door.networks.let_in(rule.as_deref().map(|rule| &rule.networks), asked.client) {
            return self.bar(Barred::Address);
        }
        let who = rule.as_deref().map_or(&Who::Users, |rule| &rule.who);
        if let Some(verdict) = self.judge_token(asked, who, now) {
            return verdict;
        }
        // What is about no channel tells nothing of any; and players ask for options before they know that there is a login.
        let is_about_nothing =
            *asked.method == Method::Options && !asked.names_session || asked.channel.is_none();
        match &door.users {
            Some(file) if *who != Who::Everybody && !is_about_nothing => {
                let users = file.users();
                Login { access: self, users: &users, who, asked, now }.judge(known)
            }
            _ => Verdict::Allowed,
        }
    }

    /// That of a channel, or of the library that a film is in.
    fn rule(&self, name: &str) -> Option<Arc<Rule>> {
        let rules = lock(&self.channels);
        let library = || name.split_once('/').and_then(|(library, _)| rules.get(library));
        rules.get(name).or_else(library).cloned()
    }

    pub(super) fn bar(&self, why: Barred) -> Verdict {
        self.tallies.barred(why);
        Verdict::Forbidden(why.reason())
    }
}

/// The judgement of one request for which somebody has to log in.
pub(super) struct Login<'j> {
    pub access: &'j Access,
    pub users: &'j Users,
    pub who: &'j Who,
    pub asked: &'j Asked<'j>,
    pub now: Instant,
}

impl Login<'_> {
    fn judge(&self, known: &mut Acquaintance) -> Verdict {
        let user = match self.identify(known) {
            Ok(user) => user,
            Err(verdict) => return verdict,
        };
        if !self.asked.channel.is_some_and(|channel| self.may_see(&user, self.who, channel)) {
            return self.access.bar(Barred::Channel);
        }
        if known.log_in(&user) {
            self.access.tallies.logged_in();
        }
        Verdict::Allowed
    }

    /// Who it is.
    pub fn identify(&self, known: &mut Acquaintance) -> Result<String, Verdict> {
        let Self { access, asked, now, .. } = self;
        let Some(header) = asked.authorization else { return Err(self.challenge(known, Challenged::New)) };
        let credentials = authorization::parse(header);
        // Who has logged in here is let go on: others behind its address may guess, and would shut it out.
        let is_known = credentials.as_ref().is_ok_and(|credentials| known.is(credentials.user()));
        if let Some(wait) = access.failures.wait(asked.client, *now).filter(|_| !is_known) {
            access.tallies.barred(Barred::Failures);
            return Err(Verdict::NotNow(wait, Barred::Failures.reason()));
        }
        match credentials.map_err(Failed::from).and_then(|credentials| self.prove(&credentials, known)) {
            Ok(Proof::Of(user)) => Ok(user),
            Ok(Proof::Stale(why)) => Err(self.challenge(known, why)),
            Err(why) => {
                access.failures.note(asked.client, *now);
                access.tallies.failed(why);
                Err(self.challenge_with(known, false, Some(why.reason())))
            }
        }
    }

    /// Whether the password is right, and then whether the proof is new: a nonce that is not good is no failure of one who
    /// knows the password, and that of one who does not is not looked at.
    fn prove(&self, credentials: &Credentials, known: &mut Acquaintance) -> Result<Proof, Failed> {
        let name = credentials.user();
        let user = self.users.find(name);
        let ha1 = user.map_or(&self.access.nobody, |user| user.ha1());
        let (is_right, is_stale) = match credentials {
            Credentials::Basic { .. } if !self.asked.over_tls => return Err(Failed::Clear),
            Credentials::Basic { password, .. } => {
                (Ha1::of(name, self.users.realm(), password).is(ha1), None)
            }
            Credentials::Digest(answer) => {
                self.check_place(answer)?;
                let is_right = answer.is_right(ha1, (&self.asked.method.clone()).into());
                let nonces = &self.access.nonces;
                let mut standing = || known.answer(nonces, answer, self.asked.client, self.now);
                (is_right, (is_right && user.is_some()).then(&mut standing).and_then(Challenged::by))
            }
        };
        match (user, is_right, is_stale) {
            (None, ..) => Err(Failed::User),
            (_, false, _) => Err(Failed::Password),
            (_, _, Some(why)) => Ok(Proof::Stale(why)),
            _ => Ok(Proof::Of(name.to_owned())),
        }
    }

    /// Whether an answer is for this realm, and for what is asked for. Its URI need not be the request's: players name the
    /// channel for all of its tracks, leave out a slash or the host, or see another host than a proxy does. Whoever may watch
    /// a channel may have all of it, so its name is what has to be the same. Over HTTP the whole URI is: there clients write it as they ask for it.
    fn check_place(&self, answer: &DigestAnswer) -> Result<(), Failed> {
        if answer.realm != self.users.realm() {
            return Err(Failed::Realm);
        }
        if let Some(OverHttp { uri, .. }) = self.asked.over_http {
            return if answer.uri == uri { Ok(()) } else { Err(Failed::Uri) };
        }
        let is_meant = match Target::parse(&answer.uri) {
            Ok(Target::Channel { name, .. }) => self.asked.channel == Some(&name),
            Ok(Target::Server) => *self.asked.target == Target::Server,
            Err(_) => false,
        };
        if is_meant { Ok(()) } else { Err(Failed::Uri) }
    }

    /// Whether a user may watch a channel that is for those.
    pub fn may_see(&self, name: &str, who: &Who, channel: &str) -> bool {
        let is_among = match who {
            Who::Only(names) => names.iter().any(|own| own == name),
            Who::Users | Who::Everybody => true,
        };
        let scope = self.users.find(name).map(|user| user.channels());
        is_among && scope.is_some_and(|scope| scope.holds(channel))
    }

    pub fn challenge(&self, known: &mut Acquaintance, why: Challenged) -> Verdict {
        self.access.tallies.challenged(why);
        self.challenge_with(known, why != Challenged::New, None)
    }

    fn challenge_with(
        &self,
        known: &mut Acquaintance,
        is_stale: bool,
        failed: Option<&'static str>,
    ) -> Verdict {
        let realm = self.users.realm();
        match known.challenge(&self.access.nonces, self.asked.client, self.now) {
            Ok(nonce) => Verdict::Challenge {
                challenges: challenges(realm, nonce, is_stale, self.asked.over_tls),
                failed,
            },
            Err(_) => Verdict::NotNow(NO_RANDOM, "no random bits"),
        }
    }
}

/// What a right password comes to.
enum Proof {
    Of(String),
    Stale(Challenged),
}

impl From<Unusable> for Failed {
    fn from(unusable: Unusable) -> Self {
        match unusable {
            Unusable::Malformed => Self::Malformed,
            Unusable::Unsupported => Self::Unsupported,
        }
    }
}
