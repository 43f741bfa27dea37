use std::collections::HashSet;

use rayon::prelude::*;

use super::tensor::{Located, is_tensor};
use super::{Checkpoint, CheckpointError, NamedTensor, Result};
use crate::Value;

/// A checkpoint's named tensors.
#[derive(Debug, Clone, PartialEq)]
pub struct StateDict {
    /// Names, without wrappers' prefixes, and tensors, in the file's order.
    pub tensors: Vec<(String, NamedTensor)>,
    /// Where in the checkpoint they were, as `state_dict` or `checkpoint/net`; `None` at the top.
    pub wrapper: Option<String>,
    /// Entries beside them that are no tensors.
    pub skipped: Vec<String>,
}

/// Where public code bases keep the parameters, in order of preference: the averaged copy last,
/// because the other one is what the file's accuracy is usually stated for.
const WRAPPERS: &[&str] = &[
    "state_dict",
    "model_state_dict",
    "model_state",
    "model",
    "net",
    "network",
    "classifier",
    "weights",
    "params",
    "checkpoint",
    "ema",
    "ema_state_dict",
    "state_dict_ema",
    "model_ema",
];

/// Prefixes that come from wrapping a network (`DataParallel`, an attribute, `torch.compile`).
const PREFIXES: &[&str] = &["module.", "model.", "_orig_mod."];

/// How many wrappers may lie inside one another, and how many are tried in all: a dictionary may
/// hold itself under every one of the names.
const MAX_DEPTH: usize = 4;
const MAX_TRIALS: usize = 64;

/// A checkpoint yields at most this many elements for each byte of its file. An ordinary one
/// yields a quarter (`f32`) or one (`uint8`); beyond that, tensors share their storage.
const ELEMENTS_PER_BYTE: usize = 4;

impl Checkpoint {
    /// Finds the dictionary of tensors and decodes it. `num_batches_tracked` and other integer
    /// tensors are among them.
    ///
    /// # Errors
    /// [`CheckpointError::NoStateDict`] if there is none, and whatever is wrong with a tensor.
    pub fn state_dict(&self) -> Result<StateDict> {
        let mut trials = MAX_TRIALS;
        let (dict, wrapper) = find(self.root(), MAX_DEPTH, &mut trials)
            .ok_or_else(|| CheckpointError::NoStateDict { found: contents(self.root()) })?;
        let mut left = self.bytes.len().saturating_mul(ELEMENTS_PER_BYTE);
        let mut tensors: Vec<(String, Located<'_>)> = Vec::new();
        let (mut skipped, mut seen) = (Vec::new(), HashSet::new());
        for (key, value) in dict.as_dict().into_iter().flat_map(crate::Entries::iter) {
            let Some(name) = key.as_str() else {
                skipped.push(key.describe());
                continue;
            };
            if !is_tensor(value) {
                skipped.push(crate::value::shortened(name));
                continue;
            }
            if !seen.insert(name) {
                let (tensor, reason) = (name.to_owned(), "is there twice".to_owned());
                return Err(CheckpointError::Tensor { tensor, reason });
            }
            tensors.push((name.to_owned(), self.tensor(name, value, &mut left)?));
        }
        // Only what is right from end to end is decoded.
        let tensors = tensors.into_par_iter().with_max_len(1);
        let mut tensors: Vec<(String, NamedTensor)> =
            tensors.map(|(name, located)| (name, located.decode())).collect();
        strip_wrappers(&mut tensors);
        let wrapper = (!wrapper.is_empty()).then(|| wrapper.join("/"));
        Ok(StateDict { tensors, wrapper, skipped })
    }
}

/// Removes, as often as possible, a prefix `module.`, `model.` or `_orig_mod.` that **every** name
/// has.
pub fn strip_wrappers<T>(tensors: &mut [(String, T)]) {
    let has_prefix = |tensors: &[(String, T)], prefix: &str| {
        tensors.iter().all(|(name, _)| name.len() > prefix.len() && name.starts_with(prefix))
    };
    while !tensors.is_empty() {
        let Some(prefix) = PREFIXES.iter().find(|prefix| has_prefix(tensors, prefix)) else {
            return;
        };
        for (name, _) in tensors.iter_mut() {
            name.drain(..prefix.len());
        }
    }
}

/// The dictionary of tensors in or below `value`, with the keys that lead to it.
fn find<'p>(
    value: Value<'p>,
    depth: usize,
    trials: &mut usize,
) -> Option<(Value<'p>, Vec<String>)> {
    *trials = trials.checked_sub(1)?;
    let depth = depth.checked_sub(1)?;
    let mut below = |name: &str, inner: Value<'p>| {
        let (dict, mut path) = find(inner, depth, trials)?;
        path.insert(0, name.to_owned());
        Some((dict, path))
    };
    if let Some(items) = value.as_items() {
        // A tuple or list around the dictionary: the first that holds one.
        return items.iter().enumerate().find_map(|(index, item)| below(&index.to_string(), item));
    }
    let entries = value.as_dict()?;
    // A wrapper wins over tensors beside it: those are figures such as a best accuracy.
    for &wrapper in WRAPPERS {
        if let Some(found) = value.get(wrapper).and_then(|inner| below(wrapper, inner)) {
            return Some(found);
        }
    }
    let holds_tensors =
        entries.iter().any(|(key, value)| key.as_str().is_some() && is_tensor(value));
    holds_tensors.then(|| (value, Vec::new()))
}

fn contents(value: Value<'_>) -> String {
    match value.as_dict() {
        Some(entries) => {
            let keys: Vec<String> =
                entries.iter().take(12).map(|(key, _)| key.describe()).collect();
            format!("{} with the keys [{}]", value.describe(), keys.join(", "))
        }
        None => value.describe(),
    }
}
