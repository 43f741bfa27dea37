//! Lines, bars, clouds, histograms, planes and surfaces in one house style, drawn by kuva.
//!
//! A plot is plain data; [`LinePlot::draw`] and its kin turn it into a
//! [`Figure`]. Numbers that cannot be drawn (NaN, infinite, not positive on a
//! logarithmic axis) are left out, counted in the caption and kept in the CSV.

mod axis;
mod bar;
mod contour;
mod grid;
mod histogram;
mod line;
mod look;
mod marks;
mod panels;
mod region;
mod scatter;
mod series;
mod size;
mod sketch;
mod surface;
mod trace;
mod values;

pub use bar::{BarGroup, BarPlot};
pub use contour::ContourPlot;
pub use grid::Grid;
pub use histogram::HistogramPlot;
pub use line::LinePlot;
pub use marks::{Arrow, MarkedPoint};
pub use panels::PanelFigure;
pub use region::RegionPlot;
pub use scatter::ScatterPlot;
pub use series::Series;
pub use surface::SurfacePlot;

use kuva::backend::svg::SvgBackend;
use kuva::plot::{LegendEntry, LegendPosition};
use kuva::render::layout::Layout;
use kuva::render::render::Scene;
use kuva::render::theme::Theme;

use crate::figure::svg_opening;
use crate::image::encode_png;
use crate::text::{clean, shorten, wrap};
use crate::{Figure, ReportError};
use axis::Axis;

/// How numbers are laid out along an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scale {
    /// Equal differences, equal distances.
    #[default]
    Linear,
    /// Equal ratios, equal distances; only positive numbers can be drawn.
    Log,
    /// For numbers of both signs over several orders of magnitude: linear within
    /// ± 10^`decade`, logarithmic beyond.
    SignedLog {
        /// Power of ten up to which differences are shown, such as −1 for ± 0.1.
        decade: i32,
    },
}

/// How numbers are written beside an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unit {
    /// As they are.
    #[default]
    Number,
    /// Fractions of 1, written in percent.
    Percent,
}

/// The colours of Okabe and Ito (Color Universal Design, 2008), which people
/// with any kind of colour blindness can tell apart; their yellow is left out
/// because it is lost on white. Then a grey, and the wine of Tol (Colour Schemes, 2021), darker than their
/// red.
pub const PALETTE: [&str; 9] = [
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999",
    "#882255",
];

/// Width of a plot in pixels.
const WIDTH: f64 = 700.0;
/// Height of a plot in pixels without its legend.
const HEIGHT: f64 = 440.0;
/// Font sizes in pixels: they stay legible when the plot is shown 350 px wide.
const TITLE_SIZE: u32 = 19;
const LABEL_SIZE: u32 = 17;
const TICK_SIZE: u32 = 16;
/// Dots per SVG pixel in the PNG.
const PNG_SCALE: usize = 2;
/// Dots on a side that kuva draws for each of them: it does not smooth turned text.
const OVERSAMPLING: usize = 2;
/// Characters of the title per line.
const TITLE_WRAP: usize = 58;
/// Longest name in a legend.
const LEGEND_LIMIT: usize = 56;

fn colour(index: usize) -> &'static str {
    PALETTE[index % PALETTE.len()]
}

/// Everything around the data.
struct Frame<'a> {
    title: &'a str,
    x_label: &'a str,
    y_label: &'a str,
    legend: Vec<LegendEntry>,
}

impl Frame<'_> {
    fn layout(&self, x_range: (f64, f64), y: &Axis) -> Layout {
        let mut theme = Theme::light();
        theme.grid_color = "#e3e3e3".into();
        theme.axis_color = "#444444".into();
        theme.tick_color = "#444444".into();
        theme.text_color = "#1a1a1a".into();
        let mut layout = Layout::new(x_range, y.range)
            .with_theme(theme)
            .with_width(WIDTH)
            .with_height(HEIGHT + self.legend_height())
            .with_title_size(TITLE_SIZE)
            .with_label_size(LABEL_SIZE)
            .with_tick_size(TICK_SIZE)
            .with_body_size(TICK_SIZE)
            .with_title_wrap(TITLE_WRAP)
            .with_x_axis_min(x_range.0)
            .with_x_axis_max(x_range.1)
            .with_y_axis_min(y.range.0)
            .with_y_axis_max(y.range.1)
            .with_y_tick_format(y.format.clone());
        if let Some(step) = y.step {
            layout = layout.with_y_tick_step(step);
        }
        if y.is_native_log() {
            layout = layout.with_log_y();
        }
        for (text, set) in [
            (self.title, Layout::with_title::<String> as fn(Layout, String) -> Layout),
            (self.x_label, Layout::with_x_label::<String>),
            (self.y_label, Layout::with_y_label::<String>),
        ] {
            if !text.trim().is_empty() {
                layout = set(layout, clean(text));
            }
        }
        if !self.legend.is_empty() {
            layout = layout
                .with_legend_entries(self.legend.clone())
                .with_legend_position(LegendPosition::OutsideBottomColumns)
                .with_legend_box(false);
        }
        layout
    }

    /// Room for the legend's rows and for a second line of the title, so that
    /// neither is taken from the data. The columns are kuva's, estimated.
    fn legend_height(&self) -> f64 {
        let size = f64::from(TICK_SIZE);
        let longest = self.legend.iter().map(|e| e.label.chars().count()).max().unwrap_or(0);
        let column = 38.0 + 0.62 * size * longest as f64;
        let columns = ((WIDTH - 100.0) / column).floor().max(1.0);
        let rows = (self.legend.len() as f64 / columns).ceil();
        let more_title_lines = wrap(self.title, TITLE_WRAP).len().saturating_sub(1);
        rows * 1.5 * size + more_title_lines as f64 * 1.2 * f64::from(TITLE_SIZE)
    }
}

fn legend_label(name: &str) -> String {
    shorten(&clean(name), LEGEND_LIMIT)
}

/// Draws the scene in both forms.
fn render(
    scene: &Scene,
    title: &str,
    caption: String,
    alt: String,
    csv: String,
) -> Result<Figure, ReportError> {
    let (svg, png) = (svg_of(scene, &alt), png_of(scene, title)?);
    Ok(Figure { title: title.to_string(), caption, alt, svg, png, csv })
}

fn svg_of(scene: &Scene, alt: &str) -> String {
    let svg = SvgBackend::new().render_scene(scene);
    finish_svg(&svg, scene.width, scene.height, alt)
}

/// A scene as PNG, twice its size.
pub(crate) fn png_of(scene: &Scene, title: &str) -> Result<Vec<u8>, ReportError> {
    kuva::RasterBackend::new()
        .with_scale((PNG_SCALE * OVERSAMPLING) as f32)
        .render_scene(scene)
        .and_then(|fine| average(&fine))
        .map_err(|cause| ReportError::Draw { title: title.to_string(), cause })
}

/// A PNG of the averages over `OVERSAMPLING`² dots.
fn average(fine: &[u8]) -> Result<Vec<u8>, String> {
    let mut decoder = png::Decoder::new(std::io::Cursor::new(fine));
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().map_err(|error| error.to_string())?;
    let size = reader.output_buffer_size().ok_or("the picture is too large")?;
    let mut dots = vec![0u8; size];
    let info = reader.next_frame(&mut dots).map_err(|error| error.to_string())?;
    let samples = info.color_type.samples();
    if samples < 3 {
        return Err(format!("expected a colour picture, found {:?}", info.color_type));
    }
    let (fine_width, fine_height) = (info.width as usize, info.height as usize);
    let (width, height) = (fine_width / OVERSAMPLING, fine_height / OVERSAMPLING);
    let mut rgb = Vec::with_capacity(3 * width * height);
    for y in 0..height {
        for x in 0..width {
            for channel in 0..3 {
                let mut sum = 0usize;
                for dy in 0..OVERSAMPLING {
                    for dx in 0..OVERSAMPLING {
                        let dot = (y * OVERSAMPLING + dy) * fine_width + x * OVERSAMPLING + dx;
                        sum += usize::from(dots[dot * samples + channel]);
                    }
                }
                let count = OVERSAMPLING * OVERSAMPLING;
                rgb.push(((sum + count / 2) / count) as u8);
            }
        }
    }
    encode_png(width, height, &rgb).map_err(|error| error.to_string())
}

/// Makes kuva's SVG scale, readable aloud and the same for the same data.
///
/// kuva numbers its clip paths through the life of the process. Two figures on
/// one page must not share a name, and the same figure must always have the
/// same one: so the name is taken from the content.
fn finish_svg(svg: &str, width: f64, height: f64, alt: &str) -> String {
    const ID: &str = "clipPath id=\"";
    let body = svg.find('>').map_or(svg, |end| &svg[end..]);
    let named = match body.split_once(ID).and_then(|(_, rest)| rest.split_once('"')) {
        None => body.to_string(),
        Some((id, _)) => {
            let (from_id, from_url) = (format!("{ID}{id}\""), format!("url(#{id})"));
            let neutral = body.replace(&from_id, ID).replace(&from_url, "url(#)");
            let name = format!("clip-{:016x}", fnv1a(neutral.as_bytes()));
            body.replace(&from_id, &format!("{ID}{name}\""))
                .replace(&from_url, &format!("url(#{name})"))
        }
    };
    let family = "DejaVu Sans, Verdana, Liberation Sans, Arial, sans-serif";
    let opening = svg_opening(width, height, alt);
    format!("{opening} font-family=\"{family}\" fill=\"#1a1a1a\"{named}")
}

/// The 64-bit FNV-1a hash: a name, not a checksum.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// A sentence on what was left out, or nothing.
fn left_out(count: usize, what: &str, log: bool) -> Option<String> {
    let reason =
        if log { "not finite, or not positive on a logarithmic axis" } else { "not finite" };
    match count {
        0 => None,
        1 => Some(format!("1 {what} is left out ({reason}).")),
        n => Some(format!("{n} {what}s are left out ({reason}).")),
    }
}
