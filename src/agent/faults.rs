//! Turns a panic inside a module into that task's error, so that one fault does not take the agent down.

use crate::modules::Error;
use std::cell::{Cell, RefCell};
use std::panic::{self, AssertUnwindSafe};

thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
    static SEEN: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Makes panics inside [`caught`] silent and remembers where they happened. For an agent's process, once.
pub(super) fn listen() {
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |fault| {
        if INSIDE.get() {
            SEEN.set(Some(fault.to_string()));
        } else {
            before(fault);
        }
    }));
}

/// Runs `work`, catching a panic.
pub(super) fn caught<T>(work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    INSIDE.set(true);
    let result = panic::catch_unwind(AssertUnwindSafe(work));
    INSIDE.set(false);
    result.unwrap_or_else(|payload| {
        let text = SEEN.take().or_else(|| {
            let text = payload.downcast_ref::<&str>().map(|&text| text.to_owned());
            text.or_else(|| payload.downcast_ref::<String>().cloned())
        });
        Err(Error::new("a fault of krun's own")
            .because(text.unwrap_or_else(|| "no further word".into()))
            .help("please report this, with the task and what the host runs"))
    })
}
