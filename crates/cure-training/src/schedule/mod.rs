//! Schedules: what the learning rate, h and γ are at each point of a run. Each is a pure function
//! of that point, so that a resumed run needs no state for them, and each is written as a short
//! text, the same on the command line and in `config.toml`.

mod learning_rate;
mod text;
mod value;

pub use learning_rate::LearningRate;
pub use value::{Stage, ValueSchedule};
