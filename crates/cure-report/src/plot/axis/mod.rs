//! Where an axis begins and ends, where its ticks are and how they read.
//!
//! kuva can choose ranges and ticks too, but rounds outward and prints three
//! decimals; here ticks carry exactly the digits their spacing needs, and the
//! ends keep a small margin so that markers on a limit (0 %, 100 %) are whole.

mod format;
mod signed_log;
mod ticks;

use std::sync::Arc;

use kuva::TickFormat;

use super::{Scale, Unit};
pub(super) use format::{nice_step, number_format};
use format::{one_digit, percent_format};
use signed_log::SignedLog;
pub(super) use ticks::{Tick, ticks};

/// Ticks aimed for on a linear axis.
const TICKS: f64 = 6.0;
/// Ticks on a signed logarithmic axis: whole powers of ten only, so more of them.
const SIGNED_LOG_TICKS: f64 = 12.0;
/// Share of the range added at each end.
const MARGIN: f64 = 0.03;
/// Numbers beyond ± this are not drawn: their differences overflow.
const LARGEST: f64 = 1e150;
/// A logarithmic axis over more decades than this is drawn in log10, with whole
/// decades as ticks; kuva's own logarithmic ticks would overlap, and stop at 1e-10.
const NATIVE_DECADES: f64 = 5.0;
const NATIVE_SMALLEST: f64 = 1e-9;

/// An axis: what can be drawn on it, and where.
pub(super) struct Axis {
    scale: Scale,
    /// Drawn in log10 on a linear axis of kuva.
    in_log10: bool,
    /// Drawn in these coordinates on a linear axis of kuva.
    signed_log: Option<SignedLog>,
    /// Ends, in kuva's coordinates.
    pub(super) range: (f64, f64),
    /// Tick spacing, in kuva's coordinates; `None` where kuva's own are used.
    pub(super) step: Option<f64>,
    pub(super) format: TickFormat,
}

/// Whether a number can be placed on an axis of this scale.
pub(super) fn drawable(value: f64, scale: Scale) -> bool {
    value.is_finite() && value.abs() <= LARGEST && (scale != Scale::Log || value > 0.0)
}

impl Axis {
    /// The axis that shows `values`, or `range` where one is asked for.
    pub(super) fn fit(
        values: impl Iterator<Item = f64>,
        scale: Scale,
        unit: Unit,
        range: Option<(f64, f64)>,
    ) -> Self {
        let mut whole_numbers = true;
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values.filter(|&v| drawable(v, scale)) {
            low = low.min(value);
            high = high.max(value);
            whole_numbers &= value.fract() == 0.0;
        }
        if let Some((from, to)) = range
            && drawable(from, scale)
            && drawable(to, scale)
            && from != to
        {
            (low, high) = (from.min(to), from.max(to));
            whole_numbers &= high - low >= 2.0;
        }
        if low > high {
            (low, high) = if scale == Scale::Log { (0.1, 1.0) } else { (0.0, 1.0) };
            whole_numbers = false;
        }
        match scale {
            Scale::Linear => Self::linear(low, high, unit, whole_numbers),
            Scale::Log => Self::logarithmic(low, high),
            Scale::SignedLog { decade } => {
                let signed_log = SignedLog::new(decade);
                // Within ± 10^decade the scale is linear, and so are its ticks.
                if signed_log.is_linear(low) && signed_log.is_linear(high) {
                    Self::linear(low, high, unit, whole_numbers)
                } else {
                    Self::signed_logarithmic(low, high, signed_log)
                }
            }
        }
    }

    fn linear(low: f64, high: f64, unit: Unit, whole_numbers: bool) -> Self {
        let (low, high) = open_up(low, high);
        let margin = MARGIN * (high - low);
        let range = (low - margin, high + margin);
        let mut step = nice_step((high - low) / TICKS);
        // Epochs and counts have nothing between them; 0 % and 100 % do.
        if whole_numbers && unit == Unit::Number {
            step = step.max(1.0);
        }
        let size = low.abs().max(high.abs());
        let format = match unit {
            Unit::Number => number_format(step, size),
            Unit::Percent => percent_format(step, size),
        };
        Self {
            scale: Scale::Linear,
            in_log10: false,
            signed_log: None,
            range,
            step: Some(step),
            format,
        }
    }

    /// With ticks every `step`, where that gives a few of them.
    pub(super) fn with_step(self, step: Option<f64>) -> Self {
        /// More would overlap.
        const MOST: f64 = 20.0;
        let size = self.range.0.abs().max(self.range.1.abs());
        match step {
            Some(step)
                if self.scale == Scale::Linear
                    && step > 0.0
                    && (self.range.1 - self.range.0) / step <= MOST =>
            {
                Self { step: Some(step), format: number_format(step, size), ..self }
            }
            _ => self,
        }
    }

    fn logarithmic(low: f64, high: f64) -> Self {
        // At least a decade: less would hold only one or two of the ticks 1, 2, 5.
        let (low, high) = (low.log10(), high.log10());
        let more = (1.0 - (high - low)).max(0.0) / 2.0;
        let (low, high) = (low - more, high + more);
        let margin = MARGIN * (high - low);
        let (low, high) = (low - margin, high + margin);
        let decades = high - low;
        if decades <= NATIVE_DECADES && low >= NATIVE_SMALLEST.log10() {
            return Self {
                scale: Scale::Log,
                in_log10: false,
                signed_log: None,
                range: (10f64.powf(low), 10f64.powf(high)),
                step: None,
                format: TickFormat::Custom(Arc::new(one_digit)),
            };
        }
        let step = (decades / TICKS).ceil().max(1.0);
        let format = TickFormat::Custom(Arc::new(|exponent| one_digit(10f64.powf(exponent))));
        Self {
            scale: Scale::Log,
            in_log10: true,
            signed_log: None,
            range: (low, high),
            step: Some(step),
            format,
        }
    }

    fn signed_logarithmic(low: f64, high: f64, signed_log: SignedLog) -> Self {
        let (mut low, mut high) = (signed_log.forth(low), signed_log.forth(high));
        // Ticks stand at whole coordinates: less would hold only one of them.
        if high - low < 2.0 {
            (low, high) = (low.ceil() - 1.0, high.floor() + 1.0);
        }
        let step = ((high - low) / SIGNED_LOG_TICKS).ceil().max(1.0);
        let margin = MARGIN * (high - low);
        let format = TickFormat::Custom(Arc::new(move |at| one_digit(signed_log.back(at))));
        Self {
            scale: Scale::SignedLog { decade: signed_log.decade() },
            in_log10: false,
            signed_log: Some(signed_log),
            range: (low - margin, high + margin),
            step: Some(step),
            format,
        }
    }

    /// Whether kuva is to make this axis logarithmic.
    pub(super) fn is_native_log(&self) -> bool {
        self.scale == Scale::Log && !self.in_log10
    }

    /// kuva's coordinate of a drawable value.
    pub(super) fn place(&self, value: f64) -> f64 {
        match self.signed_log {
            Some(signed_log) => signed_log.forth(value),
            None if self.in_log10 => value.log10(),
            None => value,
        }
    }

    /// The value at kuva's coordinate.
    pub(super) fn value(&self, at: f64) -> f64 {
        match self.signed_log {
            Some(signed_log) => signed_log.back(at),
            None if self.in_log10 => 10f64.powf(at),
            None => at,
        }
    }

    /// kuva's coordinate of the end of an error bar: the end of the axis where
    /// it lies beyond it or cannot be drawn (a lower bound of 0 on a log axis).
    pub(super) fn place_within(&self, value: f64) -> f64 {
        let inside = match self.scale {
            Scale::Log if value <= 0.0 => f64::NEG_INFINITY,
            _ => self.place(value),
        };
        inside.clamp(self.range.0, self.range.1)
    }
}

/// Makes room around a single value.
pub(super) fn open_up(low: f64, high: f64) -> (f64, f64) {
    let size = low.abs().max(high.abs());
    // Differences below this are lost in the digits of the ticks.
    if size < 1.0 / LARGEST {
        (-0.5, 0.5)
    } else if high - low > size * 1e-9 {
        (low, high)
    } else {
        (low - 0.1 * size, high + 0.1 * size)
    }
}

#[cfg(test)]
mod tests;
