//! Lines through a grid: short pieces joined and freed of needless points.

use std::collections::BTreeMap;

/// Joins segments between numbered points to lines that are as long as can be.
/// Lines end where not exactly two segments meet; a closed one ends where it began.
pub(super) fn join(segments: &[(usize, usize)]) -> Vec<Vec<usize>> {
    let mut at: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (i, &(a, b)) in segments.iter().enumerate() {
        at.entry(a).or_default().push(i);
        at.entry(b).or_default().push(i);
    }
    let mut used = vec![false; segments.len()];
    let mut lines = Vec::new();
    // Ends and junctions first: what is left then are closed lines.
    let ends = at.iter().filter(|(_, meeting)| meeting.len() != 2).map(|(&point, _)| point);
    let starts: Vec<usize> = ends.chain(at.keys().copied()).collect();
    for start in starts {
        for &first in &at[&start] {
            if used[first] {
                continue;
            }
            let mut line = vec![start];
            let (mut point, mut next) = (start, Some(first));
            while let Some(segment) = next {
                used[segment] = true;
                let (a, b) = segments[segment];
                point = if a == point { b } else { a };
                line.push(point);
                let meeting = &at[&point];
                next = meeting.iter().copied().find(|&s| meeting.len() == 2 && !used[s]);
            }
            lines.push(line);
        }
    }
    lines
}

/// Leaves out points that lie within `tolerance` of the line through the others
/// (Ramer, Douglas and Peucker).
pub(super) fn simplify(points: &[(f64, f64)], tolerance: f64) -> Vec<(f64, f64)> {
    if points.len() < 3 {
        return points.to_vec();
    }
    let mut kept = vec![false; points.len()];
    kept[0] = true;
    kept[points.len() - 1] = true;
    let mut spans = vec![(0, points.len() - 1)];
    while let Some((from, to)) = spans.pop() {
        let farthest = (from + 1..to)
            .map(|i| (i, distance(points[i], points[from], points[to])))
            .fold(None, |best: Option<(usize, f64)>, new| match best {
                Some(best) if best.1 >= new.1 => Some(best),
                _ => Some(new),
            });
        if let Some((i, far)) = farthest.filter(|&(_, far)| far > tolerance) {
            debug_assert!(far.is_finite());
            kept[i] = true;
            spans.extend([(from, i), (i, to)]);
        }
    }
    points.iter().zip(&kept).filter(|(_, kept)| **kept).map(|(&point, _)| point).collect()
}

/// Distance of a point from a segment.
fn distance(point: (f64, f64), from: (f64, f64), to: (f64, f64)) -> f64 {
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let (px, py) = (point.0 - from.0, point.1 - from.1);
    let square = dx * dx + dy * dy;
    let share = if square > 0.0 { ((px * dx + py * dy) / square).clamp(0.0, 1.0) } else { 0.0 };
    (px - share * dx).hypot(py - share * dy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joins_open_and_closed_lines_and_stops_at_junctions() {
        assert_eq!(join(&[(3, 4), (1, 2), (2, 3)]), [vec![1, 2, 3, 4]]);
        assert_eq!(join(&[(7, 8), (8, 9), (9, 7)]), [vec![7, 8, 9, 7]]);
        assert_eq!(join(&[(1, 5), (2, 5), (5, 3)]), [vec![1, 5], vec![2, 5], vec![3, 5]]);
        assert!(join(&[]).is_empty());
    }

    #[test]
    fn keeps_corners_and_drops_what_lies_between() {
        let bent = [(0.0, 0.0), (1.0, 0.01), (2.0, 0.0), (2.0, 1.0), (2.0, 2.0)];
        assert_eq!(simplify(&bent, 0.1), [(0.0, 0.0), (2.0, 0.0), (2.0, 2.0)]);
        let closed = [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 0.0)];
        assert_eq!(simplify(&closed, 0.1), closed);
    }
}
