//! Train, attack and study robust image classifiers through curvature: the facade over the
//! crates of the workspace, each under its short name.

pub use cure_attacks as attacks;
pub use cure_data as data;
pub use cure_geometry as geometry;
pub use cure_network as network;
pub use cure_report as report;
pub use cure_tensor as tensor;
pub use cure_training as training;
