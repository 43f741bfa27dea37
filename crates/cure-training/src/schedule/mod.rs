//! Schedules: what the learning rate, h, γ and other parameters of the objective are at each point
//! of a run. Each is a pure function of that point, so that a resumed run needs no state for them,
//! and each is written as a short text, the same on the command line and in `config.toml`.

mod at;
mod learning_rate;
mod parameters;
mod text;
mod value;
mod warm_up;

pub use learning_rate::LearningRate;
pub use parameters::ParameterSchedules;
pub use value::{Stage, ValueSchedule};
