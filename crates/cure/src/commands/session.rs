//! What a run's `run.json` says of the process that works on it, and whose fault it is where that
//! comes to nothing.

use std::io::ErrorKind;
use std::path::Path;

use cure_tensor::Device;
use cure_training::{
    Outcome as Ended, RunDirectory, RunRecord, Session, SessionState, TrainingConfig, TrainingError,
};

use super::prepared::Prepared;
use crate::failure::{Failure, Outcome};
use crate::machine;
use crate::output::PROGRAM;

/// On which side an error of the run in `folder` lies, and what is left of the run.
pub(super) fn blame(folder: &Path, error: TrainingError) -> Failure {
    use TrainingError::{
        Configuration, Data, Io, Locked, Network, NotResumable, Occupied, Schedule, Scheduled,
        Setting, Weights,
    };
    let sentence = error.to_string();
    match error {
        // What the run was given does not go together, or is no place for a run.
        Setting { .. } | Network(_) | Data(_) | Schedule { .. } | Scheduled { .. } => {
            Failure::Input(sentence)
        }
        Configuration { .. } | Occupied { .. } | Locked { .. } | NotResumable { .. } => {
            Failure::Input(sentence)
        }
        Io { source, .. }
            if matches!(
                source.kind(),
                ErrorKind::NotADirectory | ErrorKind::AlreadyExists | ErrorKind::InvalidFilename
            ) =>
        {
            Failure::Input(sentence)
        }
        // A full disk, or a folder that may not be written.
        Io { .. } | Weights(_) => {
            let run = RunDirectory::follow(folder);
            let is_there = run.last().is_file() || run.previous().is_file();
            Failure::Failed(match is_there {
                true => format!(
                    "{sentence}; the last checkpoint is intact: once there is room, go on with \
                     --resume {}",
                    folder.display()
                ),
                false => sentence,
            })
        }
        _ => Failure::Failed(sentence),
    }
}

/// Notes that this process begins to train.
pub(super) fn begin(run: &RunDirectory, given: &Prepared, config: &TrainingConfig) -> Outcome {
    let told = |error| blame(run.path(), error);
    let earlier = RunRecord::read(run.path()).map_err(told)?.unwrap_or_default().sessions;
    if let Some(last) = earlier.last().filter(|last| last.code != PROGRAM) {
        tracing::warn!(
            "{}: made by {} so far, and going on with {PROGRAM}: the result may be that of neither",
            run.path().display(),
            last.code,
        );
    }
    // Whoever resumes does not read the starting weights.
    let weights_sha256 = match earlier.first() {
        Some(first) => first.weights_sha256.clone(),
        None => given.weights_sha256.clone(),
    };
    let validation_images = given.validation.as_ref().map_or(0, |samples| samples.len());
    let session = Session {
        code: PROGRAM.into(),
        machine: match cure_tensor::device() {
            Device::Cpu => machine::describe().to_string(),
            device => format!("{}; {device}, {}", machine::describe(), cure_tensor::precision()),
        },
        threads: rayon::current_num_threads(),
        ranks: given.network.ranks().size(),
        network: given.network.architecture().name(),
        weights_sha256,
        data: given.train.name().to_owned(),
        data_sha256: given.train.sha256().to_owned(),
        training_images: given.train.len(),
        validation_images,
        attacked_images: config.attack().map_or(0, |attack| attack.samples.min(validation_images)),
        ..Session::default()
    };
    run.begin_session(session).map_err(told)
}

/// Notes how training ended.
pub(super) fn end(run: &RunDirectory, ended: &Result<Ended, TrainingError>) -> Outcome {
    let (state, reason) = match ended {
        Ok(Ended::Finished(_)) => (SessionState::Finished, None),
        Ok(Ended::Interrupted(_)) => (SessionState::Interrupted, None),
        Err(error) => (SessionState::Failed, Some(error.to_string())),
    };
    match (run.end_session(state, reason), ended) {
        (Err(error), Ok(_)) => Err(blame(run.path(), error)),
        // What ended the training may hinder this too, and is the one to tell.
        _ => Ok(()),
    }
}
