//! Measures in rounds: all contenders in the first, then ours and the two best of the rival's in turn,
//! so that a drift of the machine hits both.

use indicatif::ProgressBar;

use super::job::{Job, Measurement, Program};
use super::plan::{Contender, Ground, Race};
use super::process::{Python, measure};
use super::rows;
use super::statistics::Spread;
use crate::failure::{Failure, Outcome};
use crate::interrupt;

/// What one contender did.
#[derive(Clone, Default)]
pub(super) struct Record {
    /// By round; none where it was not measured.
    pub(super) rounds: Vec<Option<Measurement>>,
    /// Why it cannot be measured.
    pub(super) failure: Option<String>,
}

impl Record {
    fn measured(&self) -> impl Iterator<Item = &Measurement> {
        self.rounds.iter().flatten()
    }

    /// Over all steps of all rounds.
    pub(super) fn ms(&self) -> Option<Spread> {
        Spread::of(self.measured().flat_map(|found| found.ms.iter().copied()))
    }

    /// The median of one round.
    pub(super) fn median(&self, round: usize) -> Option<f64> {
        let found = self.rounds.get(round)?.as_ref()?;
        Spread::of(found.ms.iter().copied()).map(|spread| spread.median)
    }

    pub(super) fn most(&self, value: impl Fn(&Measurement) -> Option<f64>) -> Option<f64> {
        self.measured().filter_map(value).reduce(f64::max)
    }

    pub(super) fn peak(&self) -> Option<f64> {
        self.most(|found| found.peak_mib)
    }

    pub(super) fn last(&self) -> Option<&Measurement> {
        self.measured().last()
    }
}

/// `rival` ÷ `ours` in each round in which both were measured.
pub(super) fn ratio(ours: &Record, rival: &Record) -> Option<Spread> {
    let rounds = ours.rounds.len().min(rival.rounds.len());
    Spread::of((0..rounds).filter_map(|round| Some(rival.median(round)? / ours.median(round)?)))
}

/// What was measured so far.
pub(super) struct Results {
    pub(super) races: Vec<Race>,
    /// By race and contender.
    pub(super) records: Vec<Vec<Record>>,
    /// GFLOP/s and GB/s, by round.
    pub(super) product: Vec<f64>,
    pub(super) triad: Vec<f64>,
}

impl Results {
    pub(super) fn new(races: Vec<Race>) -> Self {
        let records = races.iter().map(|race| vec![Record::default(); race.contenders.len()]);
        Self { records: records.collect(), races, product: Vec::new(), triad: Vec::new() }
    }

    /// Rivals of a race worth showing: the fastest of those measured in the most rounds, and the
    /// fastest of each form that is always measured. By their positions.
    pub(super) fn leaders(&self, race: usize) -> Vec<usize> {
        let contenders = &self.races[race].contenders;
        let ranked = self.ranked(race);
        let mut leaders: Vec<usize> = ranked.first().copied().into_iter().collect();
        let rivals = contenders.iter().filter(|rival| rival.job.program == Program::PyTorch);
        for contender in rivals.filter(|rival| rival.always) {
            let form = &contender.job.form;
            let best = ranked.iter().copied().find(|&at| contenders[at].job.form == *form);
            leaders.extend(best.filter(|best| !leaders.contains(best)));
        }
        leaders
    }

    /// Rivals that were measured, most rounds first, and of equally many the fastest first.
    fn ranked(&self, race: usize) -> Vec<usize> {
        let contenders = self.races[race].contenders.iter().zip(&self.records[race]);
        let mut timed: Vec<(usize, usize, f64)> = contenders
            .enumerate()
            .filter(|(_, (contender, _))| contender.job.program == Program::PyTorch)
            .filter_map(|(at, (_, record))| {
                Some((record.measured().count(), at, record.ms()?.median))
            })
            .collect();
        timed.sort_by(|a, b| b.0.cmp(&a.0).then(a.2.total_cmp(&b.2)));
        timed.into_iter().map(|(_, at, _)| at).collect()
    }

    /// Who runs in `round`, in the order of running: after the first, ours and the rival's leaders
    /// with the second fastest, since one round can be mistaken about the fastest.
    fn runners(&self, race: usize, round: usize) -> Vec<usize> {
        let contenders = &self.races[race].contenders;
        if round == 0 {
            return (0..contenders.len()).collect();
        }
        let ours = (0..contenders.len()).filter(|&at| contenders[at].job.program == Program::Cure);
        let mut runners: Vec<usize> = ours.chain(self.leaders(race)).collect();
        let second = self.ranked(race).get(1).copied();
        runners.extend(second.filter(|second| !runners.contains(second)));
        if round % 2 == 1 {
            runners.reverse();
        }
        runners
    }

    /// Measures one more round.
    pub(super) fn round(
        &mut self,
        ground: &Ground<'_>,
        python: Option<&Python>,
        bar: &ProgressBar,
    ) -> Outcome {
        let round = self.product.len();
        let running: Vec<Vec<usize>> =
            (0..self.races.len()).map(|race| self.runners(race, round)).collect();
        bar.set_length(running.iter().map(Vec::len).sum::<usize>() as u64 + 2);
        bar.set_position(0);
        bar.set_prefix(format!("round {}", round + 1));
        let floors = ground.has("floors");
        self.product.push(if floors { floor(ground, "product", bar)? } else { f64::NAN });
        self.triad.push(if floors { floor(ground, "triad", bar)? } else { f64::NAN });
        for (race, runners) in running.into_iter().enumerate() {
            for record in &mut self.records[race] {
                record.rounds.push(None);
            }
            for at in runners {
                let Contender { name, job, .. } = &self.races[race].contenders[at];
                bar.set_message(format!("{} {}: {name}", job.row, job.model));
                let found = measure(job, python);
                stop_if_asked()?;
                let record = &mut self.records[race][at];
                match found? {
                    Ok(found) => record.rounds[round] = Some(found),
                    Err(reason) if job.program == Program::Cure => {
                        return Err(Failure::Failed(format!("{}: {reason}", job.row)));
                    }
                    Err(reason) => {
                        tracing::warn!("{} {}, {name}: {reason}", job.row, job.model);
                        record.failure = Some(reason);
                    }
                }
                bar.inc(1);
            }
        }
        Ok(())
    }
}

fn floor(ground: &Ground<'_>, form: &str, bar: &ProgressBar) -> Outcome<f64> {
    bar.set_message(form.to_owned());
    let job = Job { form: form.into(), ..ground.job(rows::named("floors")?, None, None) };
    let found = measure(&job, None)?.map_err(Failure::Failed)?;
    stop_if_asked()?;
    bar.inc(1);
    Ok(found.rate.unwrap_or(f64::NAN))
}

pub(super) fn stop_if_asked() -> Outcome {
    if interrupt::asked() {
        let message = "interrupted; what earlier rounds measured is in the files asked for";
        return Err(Failure::Interrupted(message.into()));
    }
    Ok(())
}
