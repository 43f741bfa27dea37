//! Plain data in; figures, tables and one self-contained HTML file out.
//!
//! Nothing here knows about networks or attacks: callers hand over numbers and
//! names. The same data give the same bytes, so figures can be compared and
//! committed. Every figure comes as SVG (for the page), PNG (for slides) and
//! CSV (for anyone who wants the numbers).
//!
//! | module | what it makes |
//! |---|---|
//! | [`plot`] | [`LinePlot`](plot::LinePlot), [`ContourPlot`](plot::ContourPlot) and their kin |
//! | [`image_grid`] | rows of small images with captions, perturbations made visible |
//! | [`table`] | one [`Table`] as terminal text, HTML, CSV and LaTeX |
//! | [`report`] | a [`Report`] of sections, tables and figures in one HTML file |

pub mod figure;
pub mod image;
pub mod image_grid;
pub mod plot;
pub mod report;
pub mod table;

mod error;
mod text;
mod write;

pub use error::ReportError;
pub use figure::Figure;
pub use image::{Image, Perturbation};
pub use image_grid::{AdversarialExample, ImageGrid, Prediction};
pub use report::{Report, Section};
pub use table::{Cell, Table};
pub use write::{check_writable, write_atomically};
