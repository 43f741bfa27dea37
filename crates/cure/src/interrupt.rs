//! Ctrl-C and SIGTERM: the first asks the work to stop at the next safe point, the second ends
//! the program at once.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::failure::{Blame, Outcome};

static ASKED: AtomicBool = AtomicBool::new(false);

/// Starts listening. Call once, before long work.
pub(crate) fn listen() -> Outcome {
    ctrlc::set_handler(|| {
        if ASKED.swap(true, Ordering::SeqCst) {
            std::process::exit(130);
        }
        eprintln!("\nstopping at the next safe point; once more to stop at once");
    })
    .failed()
}

/// Whether somebody asked to stop.
pub(crate) fn asked() -> bool {
    ASKED.load(Ordering::SeqCst)
}
