//! The operator's hand: calls are carried out on what runs.

use std::sync::Arc;

use serde_json::{Value, json};

use super::super::super::running::engine::Engine;
use super::super::super::running::kept_channels::NotKept;
use super::super::super::running::reload::{Changes, Reloaded, Reloader};
use super::{Call, Problem, channels, refusals, sessions, status};
use crate::event::clock;

/// Of one program.
pub struct Operator {
    engine: Arc<Engine>,
    reloader: Option<Arc<Reloader>>,
}

impl Operator {
    /// One who acts on these.
    #[must_use]
    pub fn new(engine: Arc<Engine>, reloader: Option<Arc<Reloader>>) -> Self {
        Self { engine, reloader }
    }

    /// What a call comes to.
    ///
    /// # Errors
    /// Why nothing comes of it.
    pub fn call(&self, call: &Call) -> Result<Value, Problem> {
        let (engine, now) = (&self.engine, clock::now());
        match call {
            Call::Status => Ok(status::status(engine, now)),
            Call::Overview => {
                let mut overview = status::status(engine, now);
                overview["channels"] = channels::all(engine, now);
                Ok(overview)
            }
            Call::Channels => Ok(json!({ "channels": channels::all(engine, now) })),
            Call::Channel(name) => channels::one(engine, name, now),
            Call::Sessions(filter) => Ok(sessions::page(&engine.server.watchers(), filter)),
            Call::Session(number) => sessions::one(&engine.server.watchers(), *number),
            Call::Refusals(client) => Ok(refusals::told(engine, client.as_deref(), now)),
            Call::EndSession(number) if engine.server.disconnect(*number) => {
                tracing::info!(session = number, "a session is ended by an operator");
                Ok(json!({ "ended": number }))
            }
            Call::EndSession(number) => Err(sessions::unknown(*number)),
            Call::PutChannel(name, keys) => told(self.reloader()?.put_channel(name, keys).map_err(not_kept)?),
            Call::RemoveChannel(name) => told(self.reloader()?.remove_channel(name).map_err(not_kept)?),
            Call::Reload => told(self.reloader()?.reload("the API")),
            Call::Drain(timeout) => {
                let timeout = engine.drain.begin(*timeout, "the API", now);
                Ok(json!({ "draining": true, "seconds": timeout.as_secs_f64() }))
            }
            Call::Undrain => Ok(json!({ "draining": false, "was_draining": engine.drain.cancel() })),
        }
    }

    fn reloader(&self) -> Result<&Reloader, Problem> {
        let no_file = || Problem::new(409, "the program runs without a config file");
        self.reloader.as_deref().ok_or_else(no_file)
    }
}

/// What became of a config that was read again.
fn told(reloaded: Reloaded) -> Result<Value, Problem> {
    match reloaded {
        Reloaded::Unchanged => Ok(json!({ "result": "unchanged" })),
        Reloaded::Applied(Changes { added, removed, changed, failed, waiting }) => Ok(json!({
            "result": "applied",
            "added": added,
            "removed": removed,
            "changed": changed,
            "failed": failed,
            "waiting": waiting,
        })),
        Reloaded::Refused(why) => Err(Problem::new(422, why)),
    }
}

fn not_kept(why: NotKept) -> Problem {
    let status = match why {
        NotKept::NoFile | NotKept::Elsewhere(_) => 409,
        NotKept::Unknown(_) => 404,
        NotKept::Wrong(_) => 422,
        NotKept::File { .. } => 500,
    };
    Problem::new(status, why.to_string())
}
