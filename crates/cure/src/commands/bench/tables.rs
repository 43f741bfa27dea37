//! The tables of a benchmark, from what was measured.

use cure_report::{Cell, Table};

use super::agreement::Agreement;
use super::floors::floor_ms;
use super::job::Measurement;
use super::plan::{Ground, Place, Race};
use super::rounds::{Record, Results, ratio};
use super::statistics::Spread;

/// What tables are made from.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) ground: &'a Ground<'a>,
    pub(super) results: &'a Results,
}

fn or_missing<T: Into<Cell>>(cell: Option<T>) -> Cell {
    cell.map_or(Cell::Missing, Into::into)
}

fn mib(value: Option<f64>) -> Cell {
    value.map_or(Cell::Missing, |value| Cell::Number(value, 0))
}

impl<'a> Source<'a> {
    /// Races of a place, with their positions.
    fn races(self, place: Place) -> impl Iterator<Item = (usize, &'a Race)> {
        self.results.races.iter().enumerate().filter(move |(_, race)| race.place == place)
    }

    fn record(self, race: usize, contender: usize) -> &'a Record {
        &self.results.records[race][contender]
    }

    fn network(self, race: &Race) -> Cell {
        let Some(at) = race.subject else { return Cell::Missing };
        let model = &self.ground.subjects[at].model;
        match race.row.name {
            "model-loading" | "first-image" => model.as_str().into(),
            _ => format!("{model}, {}", race.batch).into(),
        }
    }

    /// Ours against the fastest rival, and against those that are always measured.
    pub(super) fn side_by_side(self) -> Table {
        let columns = ["row", "network, batch", "cure, ms", "rival", "rival, ms", "rival ÷ cure"];
        let mut table = Table::new("", columns);
        for (at, race) in self.races(Place::Main) {
            let ours = self.record(at, 0);
            let head = [race.row.name.into(), self.network(race), ms(ours)];
            let leaders = self.results.leaders(at);
            if leaders.is_empty() {
                table = table.row(head.clone());
            }
            for rival in leaders {
                let theirs = self.record(at, rival);
                let name = race.contenders[rival].name.as_str();
                let ratio = or_missing(ratio(ours, theirs).map(|spread| spread.shown(2)));
                table = table.row(head.clone().into_iter().chain([name.into(), ms(theirs), ratio]));
            }
        }
        table
    }

    pub(super) fn memory(self) -> Table {
        let columns = [
            "row",
            "network, batch",
            "cure, MiB",
            "before its first step",
            "rival",
            "rival, MiB",
            "before its first step",
            "rival ÷ cure",
            "of what steps add",
        ];
        let mut table = Table::new("", columns);
        for (at, race) in self.races(Place::Main) {
            let Some(ours) = self.record(at, 0).peak() else { continue };
            let before = self.record(at, 0).most(|found| found.baseline_mib);
            for rival in self.results.leaders(at) {
                let theirs = self.record(at, rival);
                let theirs_before = theirs.most(|found| found.baseline_mib);
                let ratio = theirs.peak().map(|peak| peak / ours);
                let added = |peak: Option<f64>, before: Option<f64>| Some(peak? - before?);
                let net = added(theirs.peak(), theirs_before).zip(added(Some(ours), before));
                let shown = |ratio: Option<f64>| match ratio {
                    Some(ratio) if ratio.is_finite() => Cell::Number(ratio, 2),
                    _ => Cell::Missing,
                };
                table = table.row([
                    race.row.name.into(),
                    self.network(race),
                    mib(Some(ours)),
                    mib(before),
                    race.contenders[rival].name.as_str().into(),
                    mib(theirs.peak()),
                    mib(theirs_before),
                    shown(ratio),
                    shown(net.map(|(theirs, ours)| theirs / ours)),
                ]);
            }
        }
        table
    }

    /// The passes of a race: of its row, or as ours counted them.
    fn passes(self, at: usize, race: &Race) -> Option<f64> {
        race.row.passes.or_else(|| self.record(at, 0).last()?.passes)
    }

    pub(super) fn peaks(self) -> (f64, f64) {
        let best = |values: &[f64]| values.iter().copied().fold(f64::NAN, f64::max);
        (best(&self.results.product), best(&self.results.triad))
    }

    pub(super) fn floors(self) -> Table {
        let (gflops, gbytes) = self.peaks();
        let columns = [
            "row",
            "network, batch",
            "passes",
            "floor, ms",
            "cure, GFLOP/s",
            "floor ÷ cure",
            "floor ÷ rival",
            "products taken ÷ cure",
        ];
        let mut table = Table::new("", columns);
        for (at, race) in self.races(Place::Main) {
            let (Some(subject), Some(passes)) = (race.subject, self.passes(at, race)) else {
                continue;
            };
            let Some(ours) = self.record(at, 0).ms() else { continue };
            let work = self.ground.subjects[subject].work();
            let floor = floor_ms(work, passes, race.batch, gflops, gbytes);
            let operations = 2.0 * work.multiply_adds as f64 * passes * race.batch as f64;
            let best = self.results.leaders(at).first().and_then(|&at_| self.record(at, at_).ms());
            let products = self.record(at, 0).last().and_then(|found| found.products);
            let taken = products.map(|products| 2.0 * products as f64 / (gflops * 1e6));
            table = table.row([
                race.row.name.into(),
                self.network(race),
                Cell::Number(passes, 1),
                Cell::Number(floor, 1),
                Cell::Number(operations / (ours.median * 1e6), 0),
                Cell::Number(floor / ours.median, 2),
                best.map_or(Cell::Missing, |best| Cell::Number(floor / best.median, 2)),
                taken.map_or(Cell::Missing, |taken| Cell::Number(taken / ours.median, 2)),
            ]);
        }
        table
    }

    pub(super) fn threads(self) -> Table {
        let all = format!("{} threads, ms", self.ground.threads);
        let columns = ["row", "network, batch", "1 thread, ms", all.as_str(), "1 thread ÷ all"];
        let mut table = Table::new("", columns);
        for (at, race) in self.races(Place::Main) {
            let single = race.contenders.iter().position(|c| c.name == "cure, 1 thread");
            let Some(single) = single.map(|single| self.record(at, single)) else { continue };
            let ours = self.record(at, 0);
            let ratio = or_missing(ratio(ours, single).map(|spread| spread.shown(2)));
            let cells = [race.row.name.into(), self.network(race), ms(single), ms(ours), ratio];
            table = table.row(cells);
        }
        table
    }

    pub(super) fn batches(self) -> Table {
        let mut sizes: Vec<usize> = self.races(Place::Batch).map(|(_, race)| race.batch).collect();
        sizes.sort_unstable();
        sizes.dedup();
        let heads = ["row".to_owned(), "network".to_owned()];
        let columns = heads.into_iter().chain(sizes.iter().map(usize::to_string));
        let mut table = Table::new("", columns);
        let mut lines: Vec<(&str, usize)> = Vec::new();
        for (_, race) in self.races(Place::Batch) {
            let line = race.subject.map(|subject| (race.row.name, subject));
            lines.extend(line.filter(|line| !lines.contains(line)));
        }
        for (row, subject) in lines {
            let model = self.ground.subjects[subject].model.as_str();
            let cells = sizes.iter().map(|&size| {
                let mut races = self.races(Place::Batch);
                let here = races.find(|(_, race)| {
                    race.row.name == row && race.subject == Some(subject) && race.batch == size
                });
                let spread = here.and_then(|(at, _)| self.record(at, 0).ms());
                spread.map_or(Cell::Missing, |ms| Cell::Number(ms.median / size as f64, 2))
            });
            table = table.row([row.into(), model.into()].into_iter().chain(cells));
        }
        table
    }

    /// MB/s of what is read from files.
    pub(super) fn throughput(self) -> Table {
        let columns = ["row", "network", "MB", "cure, MB/s", "rival", "rival, MB/s"];
        let mut table = Table::new("", columns);
        for (at, race) in self.races(Place::Main) {
            let bytes = self.record(at, 0).last().and_then(|found| found.bytes);
            let Some(megabytes) = bytes.map(|bytes| bytes as f64 / 1e6) else { continue };
            let speed = |record: &Record| {
                let spread = record.ms().map(|ms| megabytes / (ms.median / 1e3));
                spread.map_or(Cell::Missing, |speed| Cell::Number(speed, 0))
            };
            let rival = self.results.leaders(at).first().copied();
            let name = rival.map(|rival| race.contenders[rival].name.as_str());
            table = table.row([
                race.row.name.into(),
                self.network(race),
                Cell::Number(megabytes, 1),
                speed(self.record(at, 0)),
                or_missing(name),
                rival.map_or(Cell::Missing, |rival| speed(self.record(at, rival))),
            ]);
        }
        table
    }

    /// Every form of the first round, the slow ones too.
    pub(super) fn first_round(self) -> Table {
        let columns = ["row", "network, batch", "form", "ms", "peak MiB", "fooled"];
        let mut table = Table::new("", columns);
        for (at, race) in self.races(Place::Main).filter(|(_, race)| race.contenders.len() > 1) {
            for (contender, record) in race.contenders.iter().zip(&self.results.records[at]) {
                let found = record.rounds.first().and_then(Option::as_ref);
                let spread = found.and_then(|found| Spread::of(found.ms.iter().copied()));
                let failed = if record.failure.is_some() { " (failed)" } else { "" };
                let name = format!("{}{failed}", contender.name);
                let fooled = found.and_then(|found| found.fooled);
                table = table.row([
                    race.row.name.into(),
                    self.network(race),
                    name.into(),
                    or_missing(spread.map(|spread| spread.milliseconds())),
                    mib(found.and_then(|found| found.peak_mib)),
                    or_missing(fooled),
                ]);
            }
        }
        table
    }

    /// Milliseconds by kind of operation, where operations were timed.
    pub(super) fn breakdown(self) -> Table {
        let rows = |found: &'a Measurement| (!found.breakdown.is_empty()).then_some(found);
        let timed: Vec<(&Race, &Measurement)> = self
            .races(Place::Main)
            .filter_map(|(at, race)| Some((race, self.record(at, 0).last().and_then(rows)?)))
            .collect();
        let mut kinds: Vec<&str> = Vec::new();
        for (kind, _) in timed.iter().flat_map(|(_, found)| &found.breakdown) {
            if !kinds.contains(&kind.as_str()) {
                kinds.push(kind);
            }
        }
        let mut table = Table::new("", ["row", "network, batch"].into_iter().chain(kinds.clone()));
        for (race, found) in timed {
            let cells = kinds.iter().map(|kind| {
                let part = found.breakdown.iter().find(|(other, _)| other == kind);
                part.map_or(Cell::Missing, |(_, ms)| Cell::Number(*ms, 1))
            });
            table = table.row([race.row.name.into(), self.network(race)].into_iter().chain(cells));
        }
        table
    }
}

fn ms(record: &Record) -> Cell {
    or_missing(record.ms().map(|spread| spread.milliseconds()))
}

pub(super) fn agreements(found: &[Agreement]) -> Table {
    let columns = [
        "row",
        "network",
        "rival",
        "cure, worst tensor",
        "cure, all",
        "plain sums, worst tensor",
        "plain sums, all",
        "PyTorch float32, worst tensor",
        "PyTorch float32, all",
    ];
    found.iter().fold(Table::new("", columns), |table, one| {
        let found = [&one.ours, &one.plain, &one.theirs];
        let numbers = found.into_iter().flat_map(|found| [found.worst, found.whole]);
        let names = [&one.row, &one.model, &one.form];
        let names = names.into_iter().map(|name| Cell::from(name.as_str()));
        table.row(names.chain(numbers.map(|error| format!("{error:.1e}").into())))
    })
}
