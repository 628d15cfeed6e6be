//! Whether a client may make a request at all, before anything of it is done.

use std::time::Instant;

use crate::wire::rtsp::{Request, Target};

use super::super::guard::Acquaintance;
use super::refusal::Refusal;
use super::world::{About, World};

/// A request is about the channel that its URI names, or else about its session's; a session of another channel is not to be
/// had by a URI that is free.
pub fn admit(
    world: &dyn World,
    request: &Request,
    known: &mut Acquaintance,
    now: Instant,
) -> Result<(), Refusal> {
    let named = request.session().and_then(|id| world.session(id));
    let of_session = named.as_ref().map(|session| session.channel.name.as_str());
    let channel = match &request.target {
        Target::Channel { name, .. } => Some(name.as_str()),
        Target::Server => of_session,
    };
    let mut judge = |channel, login| {
        let about = About { channel, names_session: of_session.is_some(), login };
        Refusal::by(world.judge(request, &about, known, now)).map_or(Ok(()), Err)
    };
    judge(channel, request.header("Authorization"))?;
    if of_session.is_some() && of_session != channel {
        judge(of_session, None)?;
    }
    Ok(())
}
