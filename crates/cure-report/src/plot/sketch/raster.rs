//! Images of few colours, one byte a dot.

use crate::ReportError;
use crate::text::base64;

/// An image whose dots are places in a list of at most 256 colours.
pub(in crate::plot) struct Raster {
    pub(in crate::plot) width: usize,
    pub(in crate::plot) height: usize,
    /// Row by row from the top.
    pub(in crate::plot) dots: Vec<u8>,
    pub(in crate::plot) palette: Vec<[u8; 3]>,
}

impl Raster {
    /// Asks for the place in `palette` of each dot, `(column, row)` from the top left.
    pub(in crate::plot) fn new(
        width: usize,
        height: usize,
        palette: Vec<[u8; 3]>,
        dot: impl Fn(usize, usize) -> u8,
    ) -> Self {
        let at = |i: usize| dot(i % width.max(1), i / width.max(1));
        Self { width, height, dots: (0..width * height).map(at).collect(), palette }
    }

    pub(in crate::plot) fn colour(&self, column: usize, row: usize) -> [u8; 3] {
        let dot = usize::from(self.dots[row * self.width + column]);
        self.palette.get(dot).copied().unwrap_or([0; 3])
    }

    /// Ready for an `href`.
    pub(in crate::plot) fn data_uri(&self, title: &str) -> Result<String, ReportError> {
        let png = self.png().map_err(|cause| ReportError::Draw {
            title: title.to_string(),
            cause: cause.to_string(),
        })?;
        Ok(format!("data:image/png;base64,{}", base64(&png)))
    }

    fn png(&self) -> Result<Vec<u8>, png::EncodingError> {
        let side = |side: usize| u32::try_from(side).unwrap_or(u32::MAX);
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, side(self.width), side(self.height));
        encoder.set_color(png::ColorType::Indexed);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.set_palette(self.palette.concat());
        encoder.set_compression(png::Compression::High);
        // Neighbouring places in a list of colours are no neighbours to a filter.
        encoder.set_filter(png::Filter::NoFilter);
        let mut writer = encoder.write_header()?;
        writer.write_image_data(&self.dots)?;
        writer.finish()?;
        Ok(bytes)
    }
}
