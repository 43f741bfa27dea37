//! One way through every measurement: groups of samples, network by network, each noted in the
//! journal as soon as it is done.

use std::path::Path;

use cure_attacks::{Journal, Shard};
use cure_data::Dataset;
use cure_geometry::{GeometryError, Losses};
use cure_network::Classifier;
use cure_tensor::Room;
use indicatif::ProgressBar;

use super::arguments::{Common, Named};
use super::manifest::{Manifest, NetworkFacts};
use super::report;
use super::study::{Entry, Group, Measured, Record, Setting, Study, groups};
use crate::arguments::General;
use crate::failure::{Blame, Failure, Outcome};
use crate::output::{print, write_json};
use crate::{interrupt, progress};

/// Where groups that are done wait for the others.
pub(super) const JOURNAL: &str = "geometry.jsonl";
/// What the folder of a shard says of the measurement it is a part of.
pub(super) const COMMAND: &str = "command.json";

/// Parses, validates, measures and writes.
pub(super) fn run<S: Study>(general: &General, common: &Common, mut study: S) -> Outcome {
    if common.batch == 0 {
        return Err(Failure::Input("--batch is 0; accepted is 1 or more".into()));
    }
    let shard: Option<Shard> =
        common.shard.as_ref().map(|text| text.parse().input()).transpose()?;
    let (scale, files, place) = (common.scale()?, common.files()?, common.data.place()?);
    let data = common.images(S::DEFAULT_SAMPLES)?;
    let inputs: Vec<&Path> =
        files.iter().map(|(_, file)| file.as_path()).chain(place.as_deref()).collect();
    check_places(&study, common, shard, &data, &inputs)?;
    let networks = common.load(&files, &data)?;
    let facts: Vec<NetworkFacts> = networks.iter().map(NetworkFacts::of).collect::<Outcome<_>>()?;
    study.check(&facts, data.shape().iter().product(), data.len()).input()?;
    interrupt::listen()?;

    let (room, seed) = (Room::new(common.batch), general.seed());
    let setting = Setting { networks: &networks, data: &data, scale, room, seed };
    check_operator(&study, &setting)?;
    study.prepare(&setting)?;
    let manifest = Manifest::new(&study, general, facts, &data, scale)?;
    let Some(journal) = measure_all(&study, &setting, &manifest, shard, general, common)? else {
        return Ok(());
    };
    let found = report::gather(&study, &manifest, &[(Shard::WHOLE, &journal)])?;
    let text = report::write(&study, &found, &common.out, common.json.as_deref())?;
    std::fs::remove_file(common.out.join(JOURNAL)).failed()?;
    print(&text)
}

/// Refuses an operator that cannot be had at a network's first sample, before anything is written.
fn check_operator<S: Study>(study: &S, setting: &Setting<'_>) -> Outcome {
    let Some(operator) = study.operator() else { return Ok(()) };
    let first = setting.samples(&[0])?;
    for network in setting.networks {
        let classifier = network.model.classifier()?;
        operator
            .open(&setting.losses(network, classifier.as_ref(), &first, 1).failed()?, 1)
            .input()?;
    }
    Ok(())
}

fn check_places<S: Study>(
    study: &S,
    common: &Common,
    shard: Option<Shard>,
    data: &Dataset,
    inputs: &[&Path],
) -> Outcome {
    let mut files = match shard {
        Some(_) => vec![COMMAND.to_owned()],
        None => report::files(study, data.indices()),
    };
    files.push(JOURNAL.to_owned());
    report::check_places(files, &common.out, common.json.as_deref(), inputs)
}

/// What stopped a measurement.
fn failure(error: GeometryError) -> Failure {
    match error {
        GeometryError::Stopped => {
            Failure::Interrupted("interrupted; the same command goes on".into())
        }
        error => Failure::Failed(error.to_string()),
    }
}

/// Measures what the journal does not know yet. The journal then; none of a shard, which is not the
/// whole.
fn measure_all<S: Study>(
    study: &S,
    setting: &Setting<'_>,
    manifest: &Manifest,
    shard: Option<Shard>,
    general: &General,
    common: &Common,
) -> Outcome<Option<Journal>> {
    std::fs::create_dir_all(&common.out).failed()?;
    let part = shard.unwrap_or(Shard::WHOLE);
    let path = common.out.join(JOURNAL);
    let mut journal = Journal::open(&path, &manifest.identity(part)).input()?;
    if shard.is_some() {
        write_json(&common.out.join(COMMAND), &manifest.of_shard(part))?;
    }
    let groups = groups(setting.data.len(), part, study.group());
    let samples: usize = groups.iter().map(Vec::len).sum();
    let bar = progress::bar((samples * setting.networks.len()) as u64, general.quiet);
    for (position, network) in setting.networks.iter().enumerate() {
        let classifier = network.model.classifier()?;
        for (place, rows) in groups.iter().enumerate() {
            let place = (position, place);
            if journal.recall::<Record<S::Row>>(place).is_none() {
                let record = measure(study, setting, network, classifier.as_ref(), rows, &bar);
                let record = record.inspect_err(|_| bar.finish_and_clear())?;
                journal.note(place, &record).failed()?;
            }
            bar.inc(rows.len() as u64);
        }
    }
    bar.finish_and_clear();
    let Some(shard) = shard else { return Ok(Some(journal)) };
    print(&format!(
        "shard {shard}: {samples} of {} samples measured, in {}; once all shards are done, cure \
         geometry merge --out DIR with the folder of each joins them\n",
        setting.data.len(),
        common.out.display(),
    ))?;
    Ok(None)
}

fn measure<S: Study>(
    study: &S,
    setting: &Setting<'_>,
    network: &Named,
    classifier: &dyn Classifier,
    rows: &[usize],
    bar: &ProgressBar,
) -> Outcome<Record<S::Row>> {
    let start = std::time::Instant::now();
    let name = &network.name;
    bar.set_prefix(name.clone());
    bar.set_message("");
    if interrupt::asked() {
        return Err(failure(GeometryError::Stopped));
    }
    // Results are of the samples, whatever the batch.
    let group = setting.samples(rows)?;
    let samples = setting.room.fit(usize::MAX, |batch| {
        let losses = setting.losses(network, classifier, &group, batch)?;
        measured(study, setting, losses, rows, bar)
    });
    let samples = samples.map_err(failure)?;
    Ok(Record { samples, seconds: start.elapsed().as_secs_f64() })
}

fn measured<S: Study>(
    study: &S,
    setting: &Setting<'_>,
    losses: Losses<'_>,
    rows: &[usize],
    bar: &ProgressBar,
) -> cure_geometry::Result<Vec<Entry<S::Row>>> {
    let still = vec![vec![0.0; losses.dimension()]; rows.len()];
    let all: Vec<usize> = (0..rows.len()).collect();
    let here = losses.at(&all, &still)?;
    let unfit = |((&predicted, &label), loss): ((&usize, &usize), &f64)| match loss.is_finite() {
        false => Some("logits not finite"),
        true => (predicted != label).then_some("misclassified"),
    };
    let unfit = here.predicted.iter().zip(losses.labels()).zip(&here.losses).map(unfit).collect();
    let labels = losses.labels().to_vec();
    let indices: Vec<usize> = rows.iter().map(|&row| setting.data.indices()[row]).collect();
    let group = Group { losses, indices, seed: setting.seed, unfit };
    let mut proceed = |done: usize, all: usize| {
        if !bar.is_hidden() {
            bar.set_message(format!("(next {}: {} %)", rows.len(), 100 * done / all.max(1)));
        }
        !interrupt::asked()
    };
    let found = study.measure(&group, &mut proceed)?;
    let entry = |(row, found): (usize, Measured<S::Row>)| Entry {
        index: group.indices[row],
        label: labels[row],
        predicted: here.predicted[row],
        loss: Some(here.losses[row]).filter(|loss: &f64| loss.is_finite()),
        found,
    };
    Ok(found.into_iter().enumerate().map(entry).collect())
}
