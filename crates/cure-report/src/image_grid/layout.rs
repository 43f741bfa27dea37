//! Where everything in a grid stands.

use super::{
    CHARACTER, FONT, GAP, GridCell, GridRow, ImageGrid, LARGEST_SIDE, LINE, ROW_WRAP, SHOWN_SIDE,
    TITLE, text_width,
};
use crate::ReportError;
use crate::image::Image;
use crate::text::{clean, wrap};

/// Sizes.
pub(super) struct Layout {
    pub(super) factor: usize,
    /// Width of the widest image of each column, magnified; 0 without images.
    pub(super) image_widths: Vec<usize>,
    /// Height of the tallest image of each row, magnified.
    pub(super) image_heights: Vec<usize>,
    /// Width of each column with its text.
    column_widths: Vec<f64>,
    /// Where the first column begins.
    left: f64,
    /// Of the whole picture.
    pub(super) width: f64,
}

impl Layout {
    pub(super) fn of(grid: &ImageGrid) -> Result<Self, ReportError> {
        let longest_side = grid.images().map(|i| i.shape()[1].max(i.shape()[2])).max().unwrap_or(1);
        let chosen = grid.magnification.unwrap_or(SHOWN_SIDE.div_ceil(longest_side));
        let factor = chosen.clamp(1, LARGEST_SIDE);

        let columns = grid.rows.iter().map(|r| r.cells.len()).max().unwrap_or(0);
        let columns = columns.max(grid.columns.len());
        let mut image_widths = vec![0usize; columns];
        let mut column_widths = vec![0f64; columns];
        for (width, caption) in column_widths.iter_mut().zip(&grid.columns) {
            *width = text_width(caption, FONT);
        }
        let mut image_heights = Vec::with_capacity(grid.rows.len());
        for row in &grid.rows {
            let mut height = 0;
            for (c, cell) in row.cells.iter().enumerate() {
                if let Some([_, h, w]) = cell.image.as_ref().map(Image::shape) {
                    height = height.max(h * factor);
                    image_widths[c] = image_widths[c].max(w * factor);
                }
                let text = cell.lines.iter().map(|l| text_width(l, FONT)).fold(0.0, f64::max);
                column_widths[c] = column_widths[c].max(text).max(image_widths[c] as f64);
            }
            image_heights.push(height);
        }
        let total = |sides: &[usize]| sides.iter().map(|s| s + GAP).sum::<usize>() + GAP;
        let (width, height) = (total(&image_widths), total(&image_heights));
        if width > LARGEST_SIDE || height > LARGEST_SIDE {
            return Err(ReportError::GridSize { width, height, limit: LARGEST_SIDE });
        }
        let captions = grid.rows.iter().flat_map(|r| wrap(&clean(&r.caption), ROW_WRAP));
        let caption_width = captions.map(|l| text_width(&l, FONT)).fold(0.0, f64::max);
        let gap = GAP as f64;
        let left = if caption_width > 0.0 { caption_width + 2.0 * gap } else { gap };
        let width = left + column_widths.iter().map(|w| w + 1.5 * gap).sum::<f64>();
        Ok(Self {
            factor,
            image_widths,
            image_heights,
            column_widths,
            left,
            width: width.max(240.0),
        })
    }

    /// `(left, width)` of each column.
    pub(super) fn columns(&self) -> impl Iterator<Item = (f64, f64)> {
        self.column_widths.iter().scan(self.left, |left, &width| {
            let place = (*left, width);
            *left += width + 1.5 * GAP as f64;
            Some(place)
        })
    }

    /// The images and the text beneath them, or the text beside them.
    pub(super) fn row_height(&self, row: &GridRow, image_height: f64) -> f64 {
        let beneath = |c: &&GridCell| c.image.is_some();
        let lines = |cells: Vec<&GridCell>| cells.iter().map(|c| c.lines.len()).max().unwrap_or(0);
        let (with, without): (Vec<&GridCell>, Vec<&GridCell>) =
            row.cells.iter().partition(|c| beneath(c));
        let caption = wrap(&row.caption, ROW_WRAP).len();
        let beside = lines(without).max(caption) as f64 * LINE;
        (image_height + lines(with) as f64 * LINE).max(beside)
    }

    pub(super) fn title_wrap(&self) -> usize {
        (self.width / (CHARACTER * f64::from(TITLE))).floor().max(1.0) as usize
    }
}
