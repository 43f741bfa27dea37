//! Colours of classes.

/// Of the class that is singled out: the only dark blue.
pub(super) const CORRECT: &str = "#0072b2";
/// Of the others: hues that stay apart with any kind of colour blindness where
/// their neighbours in this list are, and lightnesses that differ besides.
const OTHERS: [&str; 9] = [
    "#f5c76e", "#d7e3ea", "#d98a5b", "#f6f0b0", "#d9a3c0", "#9fd0b8", "#b9b9b9", "#8f5a3c",
    "#f3dcd2",
];
/// Of all classes for which there is no colour left.
pub(super) const REST: &str = "#7d7d7d";

/// A colour for each class that occurs.
pub(super) struct ClassColours {
    /// Class and colour, in the order of the legend; those of [`REST`] last.
    pub(super) shown: Vec<(usize, &'static str)>,
}

impl ClassColours {
    /// `counts` has the number of nodes of each class.
    pub(super) fn new(counts: &[usize], correct: Option<usize>) -> Self {
        let occurs = |class: usize| counts.get(class).is_some_and(|&count| count > 0);
        let mut shown: Vec<(usize, &str)> = correct
            .filter(|&class| occurs(class))
            .map(|class| (class, CORRECT))
            .into_iter()
            .collect();
        let others = (0..counts.len()).filter(|&class| Some(class) != correct);
        if counts.len() <= OTHERS.len() + usize::from(correct.is_some()) {
            // Each class has its own colour, the same in every picture.
            let coloured = others.enumerate().map(|(i, class)| (class, OTHERS[i]));
            shown.extend(coloured.filter(|(class, _)| occurs(*class)));
        } else {
            let mut classes: Vec<usize> = others.filter(|&class| occurs(class)).collect();
            classes.sort_by_key(|&class| (std::cmp::Reverse(counts[class]), class));
            let colour = |i: usize| OTHERS.get(i).copied().unwrap_or(REST);
            shown.extend(classes.into_iter().enumerate().map(|(i, class)| (class, colour(i))));
        }
        Self { shown }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_classes_keep_their_colours() {
        let all = ClassColours::new(&[5, 5, 5, 5], Some(1)).shown;
        let some = ClassColours::new(&[0, 5, 0, 9], Some(1)).shown;
        assert_eq!((all[0], some[0]), ((1, CORRECT), (1, CORRECT)));
        assert_eq!(some[1], all[3]);
        assert_eq!(some.len(), 2);
    }

    #[test]
    fn of_many_classes_the_largest_have_colours() {
        let counts: Vec<usize> = (0..40).collect();
        let shown = ClassColours::new(&counts, Some(3)).shown;
        assert_eq!(shown[0], (3, CORRECT));
        assert_eq!(shown[1], (39, OTHERS[0]));
        assert_eq!(shown[10], (30, REST));
        assert_eq!(shown.len(), 39);
    }
}
