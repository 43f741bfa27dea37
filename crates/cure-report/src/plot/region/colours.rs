//! Colours of classes.

/// Of the class that is singled out: the only dark blue.
pub(super) const CORRECT: &str = "#0072b2";
/// Of the others. Any two of all these, and of [`REST`], are at least 17 apart in
/// CIELAB, to people without one kind of cone too (by the model of Machado,
/// Oliveira and Fernandes, 2009); 2 can just be told apart side by side.
const OTHERS: [&str; 9] = [
    "#e7a335", "#b8c4fc", "#704537", "#e6f186", "#b494ac", "#9df2a4", "#94a587", "#b18439",
    "#ebc5df",
];
/// Of all classes for which there is no colour left.
pub(super) const REST: &str = "#6a6a6a";

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
