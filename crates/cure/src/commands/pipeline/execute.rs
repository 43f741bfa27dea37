//! Steps are processes of this program: each can be repeated by hand, and one that is killed takes nothing with it.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use super::ledger::Ledger;
use super::marker::Session;
use super::{Kind, Plan, Step};
use crate::failure::{Blame, Failure, Outcome};
use crate::interrupt;

/// Takes all steps that are not done; `flags` are those of every command.
pub(in crate::commands) fn run(
    plan: &Plan,
    ledger: &Ledger<'_>,
    flags: &[String],
    quiet: bool,
) -> Outcome {
    let total = plan.steps.len();
    let session = Session::now(flags);
    for (position, step) in plan.steps.iter().enumerate() {
        if ledger.done(plan, step).is_some() {
            continue;
        }
        if interrupt::asked() {
            return Err(stopped(step));
        }
        if !quiet {
            eprintln!("[{}/{total}] {}", position + 1, step.title);
        }
        ledger.begin(plan, step, &session)?;
        let begun = Instant::now();
        take(step, ledger.out, flags)?;
        ledger.finish(step, begun.elapsed().as_secs_f64())?;
    }
    Ok(())
}

fn stopped(step: &Step) -> Failure {
    Failure::Interrupted(format!(
        "stopped at step {}; the same command goes on from there",
        step.id
    ))
}

fn take(step: &Step, out: &Path, flags: &[String]) -> Outcome {
    let folder = out.join("steps").join(&step.id);
    let mut command = step.command.clone();
    match step.kind {
        Kind::Training if has_checkpoint(&folder) => {
            let verb = step.command.first().cloned().unwrap_or_default();
            command = vec![verb, "--resume".into(), super::folder(&step.id)];
        }
        // Killed before its first checkpoint: it has nothing to go on from.
        Kind::Training if folder.exists() => std::fs::remove_dir_all(&folder).failed()?,
        Kind::Training => {}
        Kind::Measurement => {
            // What it wrote before it was killed, and would not write over.
            if step.command.first().is_some_and(|verb| verb == "convert") && folder.exists() {
                std::fs::remove_dir_all(&folder).failed()?;
            }
            std::fs::create_dir_all(&folder).failed()?;
        }
    }
    let log = out.join("logs").join(format!("{}.txt", step.id));
    let output = File::create(&log)
        .map_err(|error| Failure::Failed(format!("{}: {error}", log.display())))?;
    let program = std::env::current_exe().failed()?;
    let mut process = Command::new(program);
    process.args(&command).args(flags).current_dir(out).stdout(output);
    process.env(interrupt::SPOKEN_FOR, "1");
    end_with_us(&mut process);
    let status = wait(process.spawn().failed()?)?;
    match status.code() {
        Some(0) => {}
        Some(130) => return Err(stopped(step)),
        _ if interrupt::asked() => return Err(stopped(step)),
        _ => {
            return Err(Failure::Failed(format!(
                "step {} failed ({status}); its output is in {}; to repeat it: cd {} && cure {}",
                step.id,
                log.display(),
                out.display(),
                shell(&step.command)
            )));
        }
    }
    Ok(())
}

fn has_checkpoint(folder: &Path) -> bool {
    std::fs::read_dir(folder.join("checkpoints"))
        .is_ok_and(|mut files| files.any(|file| file.is_ok_and(|file| is_checkpoint(&file.path()))))
}

fn is_checkpoint(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == "safetensors")
}

/// Waits, and hands on a wish to stop that reached this process alone.
fn wait(mut child: Child) -> Outcome<ExitStatus> {
    let mut is_told = false;
    loop {
        if let Some(status) = child.try_wait().failed()? {
            return Ok(status);
        }
        if interrupt::asked() && !is_told {
            is_told = true;
            tell(&child);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Asks a step to stop at its next safe point.
fn tell(child: &Child) {
    // SAFETY: sends a signal to a process that has not been waited for, so that the number is still its own.
    #[cfg(target_os = "linux")]
    unsafe {
        libc::kill(child.id().cast_signed(), libc::SIGTERM);
    }
    // Elsewhere it hears a terminal's Ctrl-C itself.
    #[cfg(not(target_os = "linux"))]
    let _ = child;
}

/// A step ends with this process, even where this one is killed: the next one could not take it up while it runs. It has
/// a group of its own, so that a terminal's Ctrl-C reaches it once, through [`tell`].
fn end_with_us(process: &mut Command) {
    #[cfg(target_os = "linux")]
    {
        use std::os::unix::process::CommandExt;
        process.process_group(0);
        // SAFETY: one system call that is allowed between fork and exec.
        unsafe {
            process.pre_exec(|| {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                Ok(())
            });
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = process;
}

/// A command line that a shell reads as these words.
pub(in crate::commands) fn shell(words: &[String]) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@".contains(c);
    let quoted: Vec<String> = words
        .iter()
        .map(|word| match !word.is_empty() && word.chars().all(plain) {
            true => word.clone(),
            false => format!("'{}'", word.replace('\'', "'\\''")),
        })
        .collect();
    quoted.join(" ")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_where_a_shell_would_split_them() {
        let words = ["geometry", "--weights", "fine-tuned on DeepFool=a/b", "it's"];
        let text = shell(&words.map(str::to_owned));
        assert_eq!(text, "geometry --weights 'fine-tuned on DeepFool=a/b' 'it'\\''s'");
    }
}
