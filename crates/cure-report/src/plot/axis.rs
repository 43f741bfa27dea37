//! Where an axis begins and ends, where its ticks are and how they read.
//!
//! kuva can choose ranges and ticks too, but rounds outward and prints three
//! decimals; here ticks carry exactly the digits their spacing needs, and the
//! ends keep a small margin so that markers on a limit (0 %, 100 %) are whole.

use std::sync::Arc;

use kuva::TickFormat;

use super::{Scale, Unit};

/// Ticks aimed for on a linear axis.
const TICKS: f64 = 6.0;
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
    /// Ends, in kuva's coordinates.
    pub(super) range: (f64, f64),
    /// Tick spacing, in kuva's coordinates; `None` where kuva's own are used.
    pub(super) step: Option<f64>,
    pub(super) format: TickFormat,
}

/// Whether a number can be placed on an axis of this scale.
pub(super) fn drawable(value: f64, scale: Scale) -> bool {
    value.is_finite() && value.abs() <= LARGEST && (scale == Scale::Linear || value > 0.0)
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
        Self { scale: Scale::Linear, in_log10: false, range, step: Some(step), format }
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
                range: (10f64.powf(low), 10f64.powf(high)),
                step: None,
                format: TickFormat::Custom(Arc::new(one_digit)),
            };
        }
        let step = (decades / TICKS).ceil().max(1.0);
        let format = TickFormat::Custom(Arc::new(|exponent| one_digit(10f64.powf(exponent))));
        Self { scale: Scale::Log, in_log10: true, range: (low, high), step: Some(step), format }
    }

    /// Whether kuva is to make this axis logarithmic.
    pub(super) fn is_native_log(&self) -> bool {
        self.scale == Scale::Log && !self.in_log10
    }

    /// kuva's coordinate of a drawable value.
    pub(super) fn place(&self, value: f64) -> f64 {
        if self.in_log10 { value.log10() } else { value }
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
fn open_up(low: f64, high: f64) -> (f64, f64) {
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

/// The next of 1, 2, 5 times a power of ten at or above `step`.
fn nice_step(step: f64) -> f64 {
    let decade = 10f64.powf(step.log10().floor());
    let factor = [1.0, 2.0, 5.0].into_iter().find(|f| f * decade >= step * (1.0 - 1e-9));
    factor.unwrap_or(10.0) * decade
}

/// Digits after the point that tell multiples of `step` apart.
fn decimals(step: f64) -> usize {
    (-(step.log10() + 1e-9).floor()).clamp(0.0, 12.0) as usize
}

fn number_format(step: f64, size: f64) -> TickFormat {
    let digits = (size.log10().floor() - step.log10().floor()).clamp(0.0, 12.0) as usize;
    let places = decimals(step);
    let scientific = !(1e-3..1e6).contains(&size);
    TickFormat::Custom(Arc::new(move |value| {
        if value.abs() < step * 1e-6 {
            "0".to_string()
        } else if scientific {
            shortest_exponential(value, digits)
        } else {
            format!("{value:.places$}")
        }
    }))
}

/// `2e6` rather than `2.00e6`.
fn shortest_exponential(value: f64, digits: usize) -> String {
    let text = format!("{value:.digits$e}");
    match text.split_once('e') {
        Some((mantissa, exponent)) if mantissa.contains('.') => {
            format!("{}e{exponent}", mantissa.trim_end_matches('0').trim_end_matches('.'))
        }
        _ => text,
    }
}

/// A tick of a logarithmic axis: one digit and a power of ten.
fn one_digit(value: f64) -> String {
    let text = format!("{value:.0e}");
    match text.parse::<f64>() {
        Ok(rounded) if (1e-3..1e6).contains(&rounded) => rounded.to_string(),
        _ => text,
    }
}

fn percent_format(step: f64, size: f64) -> TickFormat {
    let numbers = number_format(100.0 * step, 100.0 * size);
    TickFormat::Custom(Arc::new(move |value| format!("{} %", numbers.format(100.0 * value))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<String> {
        let Some(step) = axis.step else { return Vec::new() };
        let first = (axis.range.0 / step).ceil() as i64;
        let last = (axis.range.1 / step).floor() as i64;
        (first..=last).map(|i| axis.format.format(i as f64 * step)).collect()
    }

    #[test]
    fn ticks_as_asked_for() {
        let axis = |step| {
            let values = (0..=16).map(f64::from);
            Axis::fit(values, Scale::Linear, Unit::Number, None).with_step(step)
        };
        assert_eq!(labels(&axis(Some(4.0))), ["0", "4", "8", "12", "16"]);
        for unusable in [None, Some(0.0), Some(-1.0), Some(f64::NAN), Some(1e-9)] {
            assert_eq!(labels(&axis(unusable)), ["0", "5", "10", "15"]);
        }
    }

    fn linear(values: &[f64]) -> Vec<String> {
        labels(&Axis::fit(values.iter().copied(), Scale::Linear, Unit::Number, None))
    }

    #[test]
    fn ticks_read_as_a_person_would_write_them() {
        assert_eq!(linear(&[0.0, 1.0, 3.0]), ["0", "1", "2", "3"]);
        assert_eq!(linear(&[0.1, 0.5]), ["0.1", "0.2", "0.3", "0.4", "0.5"]);
        assert_eq!(linear(&[0.9991, 0.9994])[..3], ["0.99910", "0.99915", "0.99920"]);
        assert_eq!(linear(&[0.0, 2e-5]), ["0", "5e-6", "1e-5", "1.5e-5", "2e-5"]);
        assert_eq!(linear(&[-2e6, 2e6]), ["-2e6", "-1e6", "0", "1e6", "2e6"]);
        let percent = Axis::fit([0.0, 1.0].into_iter(), Scale::Linear, Unit::Percent, None);
        assert_eq!(labels(&percent), ["0 %", "20 %", "40 %", "60 %", "80 %", "100 %"]);
        let wide = Axis::fit([1e-14, 1.0].into_iter(), Scale::Log, Unit::Number, None);
        assert_eq!(labels(&wide), ["1e-12", "1e-9", "1e-6", "0.001", "1"]);
    }

    #[test]
    fn every_axis_has_room_and_few_ticks() {
        let sets: [&[f64]; 9] = [
            &[],
            &[0.0],
            &[7.0],
            &[f64::NAN, f64::INFINITY],
            &[1.0, 1.0 + 1e-16],
            &[-1e150, 1e150],
            &[5e-324],
            &[1e-300, 2e-300],
            &[1e9, 1e9 + 1.0],
        ];
        for set in sets {
            for scale in [Scale::Linear, Scale::Log] {
                for unit in [Unit::Number, Unit::Percent] {
                    let axis = Axis::fit(set.iter().copied(), scale, unit, None);
                    let (low, high) = axis.range;
                    assert!(low < high && low.is_finite() && high.is_finite(), "{set:?}");
                    assert!(labels(&axis).len() < 15, "{set:?} {:?}", labels(&axis));
                }
            }
        }
    }

    #[test]
    fn an_error_bar_ends_at_the_axis() {
        let axis = Axis::fit([0.1, 10.0].into_iter(), Scale::Log, Unit::Number, None);
        assert_eq!(axis.place_within(0.0), axis.range.0);
        assert_eq!(axis.place_within(-3.0), axis.range.0);
        assert_eq!(axis.place_within(1.0), 1.0);
        assert_eq!(axis.place_within(1e9), axis.range.1);
    }
}
