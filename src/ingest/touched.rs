//! Flows that packets were added to, and whose lanes are to be told of it.

use std::sync::Arc;

use crate::relay::Flow;

/// Each once.
#[derive(Default)]
pub(super) struct Touched(Vec<Arc<Flow>>);

impl Touched {
    /// A flow has something new.
    pub fn note(&mut self, flow: &Arc<Flow>) {
        if flow.touch() {
            self.0.push(flow.clone());
        }
    }
}

/// Tells the lanes, also after a fault: a flow that was touched and never told is never told again.
impl Drop for Touched {
    fn drop(&mut self) {
        self.0.iter().for_each(|flow| flow.tell());
    }
}
