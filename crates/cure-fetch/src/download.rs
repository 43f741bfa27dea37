//! One file: try after try until it is whole, then its sum.

use std::io::ErrorKind;
use std::ops::ControlFlow;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::client::{Client, Trouble, trouble_of_body};
use crate::part::Part;
use crate::sum::md5_of;
use crate::{FetchError, Observer, Patience, RemoteFile, Result};

const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How often a pause asks whether to stop.
const TICK: Duration = Duration::from_millis(50);

/// Brings a file into `folder` as a part that is whole and right.
pub(crate) fn download(
    client: &Client,
    file: &RemoteFile<'_>,
    address: &str,
    folder: &Path,
    patience: &Patience,
    observer: &mut dyn Observer,
) -> Result<Part> {
    let part = Part::open(folder, file.name)?;
    let mut task = Task { client, file, address, folder, patience, part, pieced: false };
    let brought = task.bring_right(observer);
    match brought {
        Ok(()) => Ok(task.part),
        Err(error) => {
            // Nothing came: nothing is left. The error that matters is the first one.
            if task.part.length() == 0 {
                let _ = task.part.remove();
            }
            Err(error)
        }
    }
}
/// A file being downloaded.
struct Task<'a> {
    client: &'a Client,
    file: &'a RemoteFile<'a>,
    address: &'a str,
    folder: &'a Path,
    patience: &'a Patience,
    part: Part,
    /// Whether the part is of more than one answer.
    pieced: bool,
}

/// Why a try ended early.
enum Stop {
    /// The server or the way there; the next try may do better.
    Trouble(Trouble),
    /// The disk or the user.
    Final(FetchError),
}

impl From<FetchError> for Stop {
    fn from(error: FetchError) -> Self {
        Self::Final(error)
    }
}

impl From<Trouble> for Stop {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}

impl Task<'_> {
    /// Brings the whole file, and its sum must be right.
    fn bring_right(&mut self, observer: &mut dyn Observer) -> Result<()> {
        observer.begin(self.file.name, self.part.length().min(self.file.size), self.file.size);
        for last in [false, true] {
            self.bring_all(observer)?;
            let found = md5_of(self.part.path())?;
            if found == self.file.md5 {
                return Ok(());
            }
            self.part.restart(self.address, None)?;
            // A file that changed between two pieces, and did not say so, is whole at the next try.
            if last || !self.pieced {
                let (address, expected) = (self.address.to_owned(), self.file.md5.to_owned());
                return Err(FetchError::Sum { address, found, expected });
            }
            observer.remark("the pieces do not fit together; once more from the beginning");
        }
        Err(self.failed("it never was whole".to_owned()))
    }

    /// Tries until the part is as long as the file.
    fn bring_all(&mut self, observer: &mut dyn Observer) -> Result<()> {
        let (mut tries, mut pause) = (1, self.patience.pause);
        let mut longest = self.part.length();
        // It may have been left by several calls.
        self.pieced |= longest > 0;
        if longest > self.file.size {
            self.part.restart(self.address, None)?;
        }
        while self.part.length() < self.file.size {
            let problem = match self.try_once(observer) {
                Ok(()) => break,
                Err(Stop::Final(error)) => return Err(error),
                Err(Stop::Trouble(Trouble::Lasting(problem))) => return Err(self.failed(problem)),
                Err(Stop::Trouble(Trouble::Passing(problem))) => problem,
                Err(Stop::Trouble(Trouble::Stale)) => {
                    self.part.restart(self.address, None)?;
                    "the file there has changed".to_owned()
                }
            };
            // A hundredth of the file, and further than ever before: so many tries at most.
            if self.part.length() >= longest.saturating_add((self.file.size / 100).max(1)) {
                longest = self.part.length();
                (tries, pause) = (1, self.patience.pause);
            }
            if tries >= self.patience.tries {
                return Err(self.failed(format!("{problem}, at the last of {tries} tries")));
            }
            tries += 1;
            observer.remark(&format!(
                "{}: {problem}; try {tries} of {} in {} s",
                self.address,
                self.patience.tries,
                pause.as_secs_f32().ceil()
            ));
            self.wait(pause, observer)?;
            pause = (2 * pause).min(LONGEST_PAUSE);
        }
        self.part.sync()
    }

    /// Asks once, and takes what comes.
    fn try_once(&mut self, observer: &mut dyn Observer) -> std::result::Result<(), Stop> {
        self.ask(observer)?;
        let (address, size) = (self.address, self.file.size);
        let validator = self.part.validator(address).map(str::to_owned);
        let answer = self.client.get(address, self.part.length(), validator.as_deref())?;
        // Before anything that is here is given up for it.
        if let Some(total) = answer.total.filter(|&total| total != size) {
            let problem = format!("the file there has {total} bytes, the published one {size}");
            return Err(Trouble::Lasting(problem).into());
        }
        self.pieced = answer.start > 0;
        if !self.pieced {
            self.part.restart(address, answer.validator.as_deref())?;
        }
        let mut body = answer.body;
        let mut buffer = vec![0; 1 << 16];
        loop {
            let read = match body.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::Interrupted => 0,
                Err(error) => return Err(trouble_of_body(error).into()),
            };
            if read as u64 > size - self.part.length() {
                // No part of the file, then; the next call must not go on with it.
                self.part.restart(address, None)?;
                let problem = format!("it sends more than the {size} bytes of the published file");
                return Err(Trouble::Lasting(problem).into());
            }
            self.part.append(&buffer[..read])?;
            self.ask(observer)?;
        }
        if self.part.length() < size {
            let problem = format!("it ended after {} of {size} bytes", self.part.length());
            return Err(Trouble::Passing(problem).into());
        }
        Ok(())
    }

    /// Tells how far it is, and whether to go on.
    fn ask(&self, observer: &mut dyn Observer) -> Result<()> {
        match observer.progress(self.part.length()) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => {
                Err(FetchError::Interrupted { folder: self.folder.to_owned() })
            }
        }
    }

    fn wait(&self, pause: Duration, observer: &mut dyn Observer) -> Result<()> {
        let until = Instant::now() + pause;
        loop {
            self.ask(observer)?;
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            thread::sleep(left.min(TICK));
        }
    }

    fn failed(&self, problem: String) -> FetchError {
        let remedy = match self.part.length() {
            0 => "try later, or another server",
            _ => {
                "run the same command later, which goes on from what is there, or name another server"
            }
        };
        FetchError::Server { address: self.address.to_owned(), problem, remedy }
    }
}
