//! Pictures that kuva has no plot for, from its lines, polygons and letters.
//!
//! kuva writes the SVG and the PNG of these too, so that fonts and strokes are
//! those of the other plots. What it has no word for is an image: its place is
//! held by an empty group, which becomes an `<image>` in the SVG and rectangles
//! in the PNG.

mod bar;
mod colours;
mod dashes;
mod drawing;
mod legend;
mod plane;
mod raster;
mod shape;

pub(super) use bar::{ColourBar, bar_width, draw_bar, draw_bar_beneath, lying_bar_height};
pub(super) use colours::{Colours, NOT_DRAWABLE, hex};
pub(super) use drawing::{Area, Drawing, Letters};
pub(super) use legend::{Entry, Legend, Symbol};
pub(super) use plane::{GAP, Plane, PlaneFrame, draw_title, title_lines};
pub(super) use raster::Raster;
pub(super) use shape::Shape;

use super::{LABEL_SIZE, TICK_SIZE, TITLE_SIZE};

/// Colours of text, of axes and of the lines of a grid: those of the other plots.
pub(super) const INK: &str = "#1a1a1a";
pub(super) const AXIS: &str = "#444444";
pub(super) const GRID: &str = "#e3e3e3";

/// Width of a text in pixels, estimated for DejaVu Sans, on the generous side.
pub(super) fn text_width(text: &str, size: u32) -> f64 {
    let em: f64 = text
        .chars()
        .map(|c| match c {
            ' ' | '.' | ',' | ':' | ';' | '|' | 'i' | 'j' | 'l' | 'I' | '\'' => 0.33,
            '-' | '(' | ')' | '/' | 'f' | 't' | 'r' => 0.42,
            'm' | 'M' | 'W' | 'w' | '%' | '@' => 0.98,
            '=' | '+' | '<' | '>' | '±' | '≤' | '≥' | '√' => 0.84,
            c if c.is_uppercase() => 0.72,
            c if c.is_ascii() => 0.63,
            _ => 0.75,
        })
        .sum();
    em * f64::from(size)
}

/// The text, shortened where it is wider than `width` pixels.
pub(super) fn fit_text(text: &str, size: u32, width: f64) -> String {
    let mut characters: Vec<char> = text.chars().collect();
    let mut shown = text.to_string();
    while text_width(&shown, size) > width && !characters.is_empty() {
        characters.pop();
        shown = characters.iter().collect::<String>().trim_end().to_string() + "…";
    }
    shown
}

/// The lines of a text that is broken at spaces to be at most `width` pixels wide.
pub(super) fn wrap_text(text: &str, size: u32, width: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if text_width(&format!("{line} {word}"), size) <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_string()),
        }
    }
    lines.iter().map(|line| fit_text(line, size, width)).collect()
}
