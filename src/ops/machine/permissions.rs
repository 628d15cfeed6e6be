//! Who asks, and what that says of who serves. What may not be read is an error of the config.

use nix::unistd::{Uid, geteuid};

use super::super::config::user_name;
use super::finding::{Area, Finding, State};

/// One finding.
pub fn look() -> Finding {
    of_user(geteuid())
}

fn of_user(user: Uid) -> Finding {
    let name = user_name(user);
    let (state, said) = match user.is_root() {
        true => (
            State::Note,
            format!(
                "user {name} may read all that the config names; for what another user may who serves, ask as that one: sudo -u \
                 USER mirrorball check"
            ),
        ),
        false => (State::Ok, format!("user {name} may read all that the config names")),
    };
    Finding::new(Area::Permission, "files", state, &said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_root_may_read_says_nothing_of_others() {
        assert_eq!(of_user(Uid::from_raw(0)).state, State::Note);
        assert_eq!(of_user(Uid::from_raw(65_534)).state, State::Ok);
    }
}
