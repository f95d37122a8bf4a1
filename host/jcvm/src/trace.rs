//! Watching the machine run.

use std::sync::{Arc, Mutex, PoisonError};

use jpkise_cap::Aid;

/// One instruction about to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Package whose code it is.
    pub package: Aid,
    /// Offset in the info of the Method component.
    pub offset: u16,
    /// The opcode.
    pub opcode: u8,
    /// Activations on the stack.
    pub depth: usize,
    /// Instance slot of the applet that is active; 0 is the runtime.
    pub applet: u8,
}

/// Gets every instruction before it runs. Cards that are clones of one another share it.
#[derive(Clone)]
pub struct Tracer(Arc<Mutex<Watch>>);

type Watch = dyn FnMut(&Step) + Send;

impl Tracer {
    /// A tracer that calls this.
    pub fn new(watch: impl FnMut(&Step) + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(watch)))
    }

    pub(crate) fn step(&self, step: &Step) {
        let mut watch = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        watch(step);
    }
}

impl std::fmt::Debug for Tracer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tracer")
    }
}
