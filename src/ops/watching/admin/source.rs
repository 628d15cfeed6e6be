//! What the endpoint shows, and whom it asks to change something.

use std::sync::Arc;

use serde_json::Value;

use super::super::super::config::Role;
use super::super::api::{Call, Problem};
use super::super::metrics::{Accepts, Exposition, Visits};
use super::super::vital::Vital;
use crate::serve::Previews;

/// Called on the admin thread, [`live`](Vital::live) on that of the watch as well, and [`call`](Self::call) on threads that may wait.
pub trait AdminSource: Vital {
    /// All metrics, in the form that is accepted, while so many are here.
    fn metrics(&self, visits: Visits, accepts: Accepts) -> Exposition;

    /// Whether the program serves viewers, in lines for an operator.
    ///
    /// # Errors
    /// Why it does not, in one line.
    fn ready(&self) -> Result<String, String>;

    /// What a call comes to.
    ///
    /// # Errors
    /// Why nothing comes of it.
    fn call(&self, call: &Call) -> Result<Value, Problem>;

    /// Who may see, and who may change something; anybody on this machine may see where there are none.
    fn tokens(&self) -> Arc<[(Role, String)]>;

    /// Channels for one who looks.
    fn previews(&self) -> Option<Arc<Previews>>;
}
