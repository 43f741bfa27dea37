//! What a run's `run.json` says of the process that works on it.

use cure_training::{
    Outcome as Ended, RunDirectory, Session, SessionState, TrainingConfig, TrainingError,
};

use super::run::Prepared;
use crate::failure::{Blame, Outcome};
use crate::machine;
use crate::output::PROGRAM;

/// Notes that this process begins to train.
pub(super) fn begin(run: &RunDirectory, given: &Prepared, config: &TrainingConfig) -> Outcome {
    let validation_images = given.validation.as_ref().map_or(0, |samples| samples.len());
    let session = Session {
        code: PROGRAM.into(),
        machine: machine::describe().to_string(),
        threads: rayon::current_num_threads(),
        ranks: given.network.ranks().size(),
        network: given.network.architecture().name(),
        weights_sha256: given.weights_sha256.clone(),
        data: given.train.name().to_owned(),
        data_sha256: given.train.sha256().to_owned(),
        training_images: given.train.len(),
        validation_images,
        attacked_images: config.attack().map_or(0, |attack| attack.samples.min(validation_images)),
        ..Session::default()
    };
    run.begin_session(session).input()
}

/// Notes how training ended.
pub(super) fn end(run: &RunDirectory, ended: &Result<Ended, TrainingError>) -> Outcome {
    match ended {
        Ok(Ended::Finished(_)) => run.end_session(SessionState::Finished, None).failed(),
        Ok(Ended::Interrupted(_)) => run.end_session(SessionState::Interrupted, None).failed(),
        Err(error) => {
            // What ended the training may hinder this too, and is the one to tell.
            let _ = run.end_session(SessionState::Failed, Some(error.to_string()));
            Ok(())
        }
    }
}
