//! Ctrl-C and SIGTERM: the first asks the work to stop at the next safe point, the second ends
//! the program at once.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::failure::{Blame, Outcome};

static ASKED: AtomicBool = AtomicBool::new(false);

/// The environment variable of processes that another one of this program started: that one hears of the wish to stop
/// first, and speaks for both.
pub(crate) const SPOKEN_FOR: &str = "CURE_SPOKEN_FOR";

/// Whether another process tells the user that this one stops, and how to go on.
pub(crate) fn is_spoken_for() -> bool {
    std::env::var_os(SPOKEN_FOR).is_some()
}

/// Starts listening. Call once, before long work.
pub(crate) fn listen() -> Outcome {
    ctrlc::set_handler(|| {
        if ASKED.swap(true, Ordering::SeqCst) {
            std::process::exit(130);
        }
        if !is_spoken_for() {
            eprintln!("\nstopping at the next safe point; once more to stop at once");
        }
    })
    .failed()
}

/// Whether somebody asked to stop.
pub(crate) fn asked() -> bool {
    ASKED.load(Ordering::SeqCst)
}
