/// Why a pickle was not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PickleError {
    /// The pickle names something that is not on the caller's list.
    #[error(
        "refuses to call `{module}.{name}`: this file may name only what its format needs, and \
         nothing named in a file is ever run"
    )]
    Refused {
        /// The module, as the file spells it.
        module: String,
        /// The name within the module.
        name: String,
    },

    /// The file ends before what it announced.
    #[error(
        "truncated or not a pickle: {what} at byte {at} needs {wanted} bytes and {left} are left"
    )]
    Truncated {
        /// Where in the file.
        at: usize,
        /// What was being read.
        what: &'static str,
        /// How many bytes it needs.
        wanted: u64,
        /// How many the file still has.
        left: usize,
    },

    /// An instruction that cannot be carried out.
    #[error("not a valid pickle: byte {at}: {reason}")]
    Malformed {
        /// Where in the file.
        at: usize,
        /// What is wrong with it.
        reason: String,
    },

    /// More values than any file of this kind holds.
    #[error("the pickle holds more than {limit} values; such a file is not a data file")]
    TooManyValues {
        /// The most that are accepted.
        limit: usize,
    },

    /// A value is not of the kind that its place calls for.
    #[error("{place} should be {wanted}, and is {found}")]
    Unexpected {
        /// Where the value stands.
        place: String,
        /// What was expected there.
        wanted: &'static str,
        /// What is there.
        found: String,
    },
}
