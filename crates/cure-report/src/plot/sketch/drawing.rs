//! A picture in the making.

use std::fmt::Write;

use kuva::render::color::Color;
use kuva::render::render::{PathData, Primitive, Scene, TextAnchor};

use super::Raster;
use super::dashes::dashed;
use crate::plot::{png_of, svg_of};
use crate::text::clean;
use crate::{Figure, ReportError};

/// A rectangle of the picture in pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::plot) struct Area {
    pub(in crate::plot) left: f64,
    pub(in crate::plot) top: f64,
    pub(in crate::plot) width: f64,
    pub(in crate::plot) height: f64,
}

impl Area {
    pub(in crate::plot) fn right(self) -> f64 {
        self.left + self.width
    }

    pub(in crate::plot) fn bottom(self) -> f64 {
        self.top + self.height
    }

    /// The middle.
    pub(in crate::plot) fn middle(self) -> (f64, f64) {
        (self.left + self.width / 2.0, self.top + self.height / 2.0)
    }
}

/// How a text is set.
#[derive(Debug, Clone, Copy)]
pub(in crate::plot) struct Letters {
    pub(in crate::plot) size: u32,
    pub(in crate::plot) anchor: TextAnchor,
    /// Degrees, clockwise.
    pub(in crate::plot) turn: f64,
}

impl Letters {
    pub(in crate::plot) fn start(size: u32) -> Self {
        Self { size, anchor: TextAnchor::Start, turn: 0.0 }
    }

    pub(in crate::plot) fn middle(size: u32) -> Self {
        Self { size, anchor: TextAnchor::Middle, turn: 0.0 }
    }

    pub(in crate::plot) fn end(size: u32) -> Self {
        Self { size, anchor: TextAnchor::End, turn: 0.0 }
    }

    pub(in crate::plot) fn turned(self, turn: f64) -> Self {
        Self { turn, ..self }
    }
}

/// Things drawn so far; later ones cover earlier ones.
pub(in crate::plot) struct Drawing {
    scene: Scene,
    /// Images and their places, in the order of their groups in the scene.
    images: Vec<(Area, Raster)>,
}

impl Drawing {
    /// White paper of this size in pixels.
    pub(in crate::plot) fn new(width: f64, height: f64) -> Self {
        let mut scene = Scene::new(width.round(), height.round());
        scene.text_color = Some(super::INK.to_string());
        Self { scene, images: Vec::new() }
    }

    pub(in crate::plot) fn text(&mut self, x: f64, y: f64, text: &str, letters: Letters) {
        if text.trim().is_empty() {
            return;
        }
        self.scene.add(Primitive::Text {
            x,
            y,
            content: clean(text),
            size: letters.size,
            anchor: letters.anchor,
            rotate: (letters.turn != 0.0).then_some(letters.turn),
            bold: false,
            color: None,
        });
    }

    pub(in crate::plot) fn polyline(&mut self, points: &[(f64, f64)], colour: &str, width: f64) {
        if points.len() < 2 {
            return;
        }
        self.scene.add(Primitive::PolyLine {
            points: points.iter().map(|&(x, y)| (tenth(x), tenth(y))).collect(),
            stroke: Color::from(colour),
            stroke_width: width,
            stroke_dasharray: None,
        });
    }

    /// A line, with the lengths of its dashes and gaps in pixels if it has any.
    pub(in crate::plot) fn line(
        &mut self,
        from: (f64, f64),
        to: (f64, f64),
        colour: &str,
        width: f64,
        dashes: &[f64],
    ) {
        // kuva's PNG does not magnify dashes, so they are lines of their own.
        for (from, to) in dashed(from, to, dashes) {
            self.scene.add(Primitive::Line {
                x1: from.0,
                y1: from.1,
                x2: to.0,
                y2: to.1,
                stroke: Color::from(colour),
                stroke_width: width,
                stroke_dasharray: None,
            });
        }
    }

    /// A filled polygon, with the colour and width of its outline.
    pub(in crate::plot) fn polygon(
        &mut self,
        corners: &[(f64, f64)],
        fill: &str,
        outline: Option<(&str, f64)>,
    ) {
        self.shade(corners, fill, None, outline);
    }

    /// A polygon through which what is beneath can be seen.
    pub(in crate::plot) fn shade(
        &mut self,
        corners: &[(f64, f64)],
        fill: &str,
        opacity: Option<f64>,
        outline: Option<(&str, f64)>,
    ) {
        let mut path = String::new();
        for (i, &(x, y)) in corners.iter().enumerate() {
            let letter = if i == 0 { 'M' } else { 'L' };
            let _ = write!(path, "{letter}{} {}", tenth(x), tenth(y));
        }
        path.push('Z');
        self.scene.add(Primitive::Path(Box::new(PathData {
            d: path,
            fill: Some(Color::from(fill)),
            stroke: outline.map_or(Color::None, |(colour, _)| Color::from(colour)),
            stroke_width: outline.map_or(0.0, |(_, width)| width),
            opacity,
            stroke_dasharray: None,
        })));
    }

    pub(in crate::plot) fn rectangle(&mut self, area: Area, fill: &str, outline: Option<&str>) {
        self.scene.add(Primitive::Rect {
            x: area.left,
            y: area.top,
            width: area.width,
            height: area.height,
            fill: if fill == "none" { Color::None } else { Color::from(fill) },
            stroke: outline.map(Color::from),
            stroke_width: outline.map(|_| 1.2),
            opacity: None,
        });
    }

    pub(in crate::plot) fn circle(
        &mut self,
        x: f64,
        y: f64,
        radius: f64,
        fill: &str,
        outline: &str,
        width: f64,
    ) {
        self.scene.add(Primitive::Circle {
            cx: x,
            cy: y,
            r: radius,
            fill: Color::from(fill),
            fill_opacity: None,
            stroke: Some(Color::from(outline)),
            stroke_width: Some(width),
        });
    }

    /// An image, stretched over its area.
    pub(in crate::plot) fn image(&mut self, area: Area, image: Raster) {
        let attributes = Some(place(self.images.len()));
        let group = Primitive::GroupStart { transform: None, title: None, extra_attrs: attributes };
        self.scene.add(group);
        self.scene.add(Primitive::GroupEnd);
        self.images.push((area, image));
    }

    /// The picture in all its forms.
    pub(in crate::plot) fn finish(
        mut self,
        title: &str,
        caption: String,
        alt: String,
        csv: String,
    ) -> Result<Figure, ReportError> {
        let mut svg = svg_of(&self.scene, &alt);
        for (i, (area, image)) in self.images.iter().enumerate() {
            let group = format!("<g {}></g>", place(i));
            let element = format!(
                "<image x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" \
                 preserveAspectRatio=\"none\" href=\"{}\"/>",
                area.left,
                area.top,
                area.width,
                area.height,
                image.data_uri(title)?
            );
            svg = svg.replacen(&group, &element, 1);
        }
        let mut images = self.images.iter();
        let elements = std::mem::take(&mut self.scene.elements);
        self.scene.elements = elements
            .into_iter()
            .map(|element| match element {
                Primitive::GroupStart { .. } => images
                    .next()
                    .map_or(Primitive::GroupEnd, |(area, image)| rectangles(*area, image)),
                other => other,
            })
            .collect();
        let png = png_of(&self.scene, title)?;
        Ok(Figure { title: title.to_string(), caption, alt, svg, png, csv })
    }
}

/// The attribute by which the place of an image is found again.
fn place(index: usize) -> String {
    format!("data-image=\"{index}\"")
}

/// The dots of an image, those of the same colour beside each other as one.
fn rectangles(area: Area, image: &Raster) -> Primitive {
    let (dx, dy) = (area.width / image.width as f64, area.height / image.height as f64);
    let (mut x, mut y, mut w, mut h) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut fills = Vec::new();
    for row in 0..image.height {
        let mut column = 0;
        while column < image.width {
            let colour = image.colour(column, row);
            let run = (column..image.width).take_while(|&c| image.colour(c, row) == colour).count();
            x.push(area.left + column as f64 * dx);
            y.push(area.top + row as f64 * dy);
            w.push(run as f64 * dx);
            h.push(dy);
            fills.push(Color::Rgb(colour[0], colour[1], colour[2]));
            column += run;
        }
    }
    Primitive::RectBatch { x, y, w, h, fills }
}

/// Tenths of a pixel are enough, and keep the SVG small.
fn tenth(length: f64) -> f64 {
    (10.0 * length).round() / 10.0
}
