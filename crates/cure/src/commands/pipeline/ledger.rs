//! What has become of a plan's steps in a folder.

use std::path::{Path, PathBuf};

use super::marker::{self, Begun, Done, Session, Sums, Taken};
use super::{Plan, Step};
use crate::failure::{Failure, Outcome};
use crate::output::write_json;

/// A folder's markers, held against its files.
#[derive(Debug)]
pub(in crate::commands) struct Ledger<'a> {
    pub(in crate::commands) out: &'a Path,
    taken: Taken,
}

/// What has become of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::commands) enum State {
    Done,
    /// Begun with what it would be begun with now.
    Begun,
    /// Done or begun with something else, or from something that is made anew first.
    Stale,
    /// Nothing is there.
    Open,
}

impl State {
    pub(in crate::commands) fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Begun => "begun",
            Self::Stale => "to do again",
            Self::Open => "to do",
        }
    }
}

impl<'a> Ledger<'a> {
    pub(in crate::commands) fn new(out: &'a Path) -> Self {
        Self { out, taken: Taken::default() }
    }

    fn folder(&self, step: &Step) -> PathBuf {
        self.out.join("steps").join(&step.id)
    }

    /// The sum of a file, by its name in the folder or its whole path.
    fn sum(&self, file: &str) -> Option<String> {
        self.taken.of(&self.out.join(file))
    }

    /// What a step left when it was done: if that was by the same command and from the same bytes, and its own files are
    /// as it made them.
    pub(in crate::commands) fn done(&self, plan: &Plan, step: &Step) -> Option<Done> {
        let done: Done = marker::read(&marker::done(self.out, &step.id))?;
        let is_whole = step.makes.iter().all(|file| {
            self.sum(file).is_some_and(|sum| done.made.get(file).is_some_and(|made| *made == sum))
        });
        (is_whole && self.is_same(plan, step, &done.begun)).then_some(done)
    }

    /// Whether a step would be begun with the same now.
    fn is_same(&self, plan: &Plan, step: &Step, begun: &Begun) -> bool {
        let same = |file: &String, sum: String| begun.inputs.get(file) == Some(&sum);
        let made = plan.inputs(step);
        begun.command == step.command
            && made.iter().all(|file| self.sum(file).is_some_and(|sum| same(file, sum)))
            // What somebody gave may be put away once it has been read.
            && step.reads.iter().all(|file| self.sum(file).is_none_or(|sum| same(file, sum)))
    }

    /// What has become of each step, in the plan's order.
    pub(in crate::commands) fn states(&self, plan: &Plan) -> Vec<State> {
        let mut states: Vec<State> = Vec::with_capacity(plan.steps.len());
        for step in &plan.steps {
            let needs = |id: &String| plan.steps.iter().position(|other| other.id == *id);
            let is_anew = step
                .needs
                .iter()
                .filter_map(needs)
                .any(|need| states.get(need).is_some_and(|state| *state != State::Done));
            states.push(match self.state(plan, step) {
                State::Done | State::Begun if is_anew => State::Stale,
                state => state,
            });
        }
        states
    }

    fn state(&self, plan: &Plan, step: &Step) -> State {
        if self.done(plan, step).is_some() {
            return State::Done;
        }
        if !marker::is_there(self.out, &step.id) {
            return State::Open;
        }
        match self.unfinished(plan, step) {
            Some(_) => State::Begun,
            None => State::Stale,
        }
    }

    /// What a step was begun with, if it can go on from what it left.
    fn unfinished(&self, plan: &Plan, step: &Step) -> Option<Begun> {
        let begun: Begun = marker::read(&marker::begun(self.out, &step.id))?;
        // A marker beside it is of a step that was done, and is not any more.
        let was_done = marker::done(self.out, &step.id).exists();
        (!was_done && self.is_same(plan, step, &begun)).then_some(begun)
    }

    /// Notes what a step is begun with; what it left goes where that was begun with something else.
    pub(in crate::commands) fn begin(
        &self,
        plan: &Plan,
        step: &Step,
        session: &Session,
    ) -> Outcome {
        let folder = self.folder(step);
        self.taken.forget(&folder);
        let begun = match self.unfinished(plan, step) {
            Some(mut begun) => {
                if begun.sessions.last() != Some(session) {
                    begun.sessions.push(session.clone());
                }
                begun
            }
            None => {
                marker::remove(&folder)?;
                marker::remove(&marker::done(self.out, &step.id))?;
                let (command, inputs) = (step.command.clone(), self.inputs(plan, step)?);
                Begun { command, inputs, sessions: vec![session.clone()] }
            }
        };
        write_json(&marker::begun(self.out, &step.id), &begun)
    }

    fn inputs(&self, plan: &Plan, step: &Step) -> Outcome<Sums> {
        let mut inputs = Sums::new();
        for file in plan.inputs(step).into_iter().chain(step.reads.iter().cloned()) {
            let Some(sum) = self.sum(&file) else {
                let id = &step.id;
                let sentence =
                    format!("step {id} reads {file}, which is not there or cannot be read");
                return Err(Failure::Failed(sentence));
            };
            inputs.insert(file, sum);
        }
        Ok(inputs)
    }

    /// Notes that a step is done.
    pub(in crate::commands) fn finish(&self, step: &Step, seconds: f64) -> Outcome {
        self.taken.forget(&self.folder(step));
        let path = marker::begun(self.out, &step.id);
        let lost = |file: &str| Failure::Failed(format!("step {} did not leave {file}", step.id));
        let Some(begun) = marker::read(&path) else {
            return Err(lost(&path.display().to_string()));
        };
        let mut made = Sums::new();
        for file in &step.makes {
            made.insert(file.clone(), self.sum(file).ok_or_else(|| lost(file))?);
        }
        write_json(&marker::done(self.out, &step.id), &Done { begun, made, seconds })?;
        marker::remove(&path)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::{Kind, file};
    use super::*;

    fn step(id: &str, needs: &[&str]) -> Step {
        Step {
            id: id.into(),
            title: String::new(),
            kind: Kind::Measurement,
            needs: needs.iter().map(|&id| id.to_owned()).collect(),
            reads: Vec::new(),
            command: vec!["evaluate".into(), id.into()],
            makes: vec![file(id, "results.json")],
            minutes: 1.0,
        }
    }

    fn session(device: &str) -> Session {
        Session { device: device.into(), precision: "f32".into(), ..Session::now(&[]) }
    }

    fn make(ledger: &Ledger<'_>, plan: &Plan, id: &str, text: &str) {
        let step = plan.steps.iter().find(|step| step.id == id).unwrap();
        ledger.begin(plan, step, &session("cpu")).unwrap();
        std::fs::create_dir_all(ledger.folder(step)).unwrap();
        std::fs::write(ledger.out.join(&step.makes[0]), text).unwrap();
        ledger.finish(step, 1.0).unwrap();
    }

    /// `original` and `other`, and of the first `cure` and then `attack`, all done.
    fn made(out: &Path) -> Plan {
        std::fs::create_dir_all(out.join("steps")).unwrap();
        let steps = vec![
            step("original", &[]),
            step("other", &[]),
            step("cure", &["original"]),
            step("attack", &["cure"]),
        ];
        let (plan, ledger) = (Plan { steps }, Ledger::new(out));
        plan.steps.iter().for_each(|step| make(&ledger, &plan, &step.id, &step.id));
        plan
    }

    fn states(plan: &Plan, out: &Path) -> [&'static str; 4] {
        let words: Vec<_> = Ledger::new(out).states(plan).into_iter().map(State::word).collect();
        words.try_into().unwrap()
    }

    #[test]
    fn what_comes_out_with_the_same_bytes_leaves_its_dependants_done() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path();
        let plan = made(out);
        assert_eq!(states(&plan, out), ["done"; 4]);
        // Lost: it is to be made anew, and all that was made from it may be.
        std::fs::remove_file(out.join("steps/original/results.json")).unwrap();
        assert_eq!(states(&plan, out), ["to do again", "done", "to do again", "to do again"]);
        make(&Ledger::new(out), &plan, "original", "original");
        assert_eq!(states(&plan, out), ["done"; 4]);
        // With other bytes, what was made from it is made anew, and what was made from that only as far as needed.
        let ledger = Ledger::new(out);
        std::fs::remove_file(out.join("steps/original/results.json")).unwrap();
        make(&ledger, &plan, "original", "another");
        let is_done = |id: usize| ledger.done(&plan, &plan.steps[id]).is_some();
        assert!(!is_done(2) && is_done(3));
        make(&ledger, &plan, "cure", "cure");
        assert!(is_done(2) && is_done(3));
        assert_eq!(states(&plan, out), ["done"; 4]);
    }

    #[test]
    fn what_was_changed_by_another_hand_is_not_what_the_step_made() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path();
        let plan = made(out);
        std::fs::write(out.join("steps/cure/results.json"), "mine").unwrap();
        assert_eq!(states(&plan, out), ["done", "done", "to do again", "to do again"]);
        let mut other = made(out);
        other.steps[3].command.push("--limit=3".into());
        assert_eq!(states(&other, out), ["done", "done", "done", "to do again"]);
        // Without sums, as earlier programs wrote them.
        let old =
            r#"{"command": ["evaluate", "original"], "program": "cure 0.1.0", "seconds": 1.0}"#;
        std::fs::write(out.join("steps/original.json"), old).unwrap();
        assert_eq!(states(&plan, out)[0], "to do again");
    }

    #[test]
    fn what_was_begun_with_other_bytes_does_not_go_on() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path();
        let plan = made(out);
        let (ledger, cure) = (Ledger::new(out), &plan.steps[2]);
        let checkpoint = out.join("steps/cure/checkpoint");
        let begin = |ledger: &Ledger<'_>, device: &str| {
            ledger.begin(&plan, cure, &session(device)).unwrap();
            std::fs::create_dir_all(out.join("steps/cure")).unwrap();
            std::fs::write(&checkpoint, "half").unwrap();
        };
        std::fs::remove_file(out.join("steps/cure/results.json")).unwrap();
        begin(&ledger, "cpu");
        assert_eq!(states(&plan, out), ["done", "done", "begun", "to do again"]);
        // Killed, and taken up on another device: both are kept in mind.
        ledger.begin(&plan, cure, &session("torch:cuda:0")).unwrap();
        assert!(checkpoint.is_file());
        let begun: Begun = marker::read(&marker::begun(out, "cure")).unwrap();
        let devices: Vec<_> = begun.sessions.iter().map(|session| &session.device).collect();
        assert_eq!(devices, ["cpu", "torch:cuda:0"]);
        // Killed, and what it was begun from is made anew meanwhile.
        std::fs::remove_file(out.join("steps/original/results.json")).unwrap();
        make(&Ledger::new(out), &plan, "original", "another");
        assert_eq!(states(&plan, out)[2], "to do again");
        Ledger::new(out).begin(&plan, cure, &session("cpu")).unwrap();
        assert!(!checkpoint.exists());
    }

    #[test]
    fn a_file_that_was_given_counts_as_long_as_it_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path();
        let mut plan = made(out);
        let mine = out.join("mine.pt");
        std::fs::write(&mine, "weights").unwrap();
        plan.steps[0].reads.push(mine.to_string_lossy().into_owned());
        marker::remove(&marker::done(out, "original")).unwrap();
        make(&Ledger::new(out), &plan, "original", "original");
        assert_eq!(states(&plan, out)[0], "done");
        std::fs::write(&mine, "others").unwrap();
        assert_eq!(states(&plan, out)[0], "to do again");
        std::fs::remove_file(&mine).unwrap();
        assert_eq!(states(&plan, out)[0], "done");
    }
}
