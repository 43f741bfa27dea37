//! `cure data fetch` from the outside. What it downloads is 160 MB and more, so here it stops, is
//! stopped or refuses; whole downloads are tested in `cure-fetch`.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

#[path = "../../cure-fetch/tests/server/mod.rs"]
mod server;

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use server::{Server, names};
use tempfile::TempDir;

const ARCHIVE: &str = "cifar-10-binary.tar.gz";
const LENGTH: usize = 170_052_171;

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cure"));
    command.current_dir(folder).args(["data", "fetch"]).args(arguments);
    // The servers are on this machine.
    for name in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
        command.env_remove(name);
    }
    command
}

/// The one sentence that it says.
fn sentence(output: &Output, code: i32) -> String {
    let message = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(code), "{message}");
    assert!(output.stdout.is_empty());
    assert_eq!(message.lines().count(), 1, "{message}");
    message
}

#[test]
fn bad_input_is_one_sentence_and_leaves_nothing() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("file"), "mine").unwrap();
    for (arguments, part) in [
        (vec!["mnist"], "cifar10, cifar100, svhn"),
        (vec!["cifar10", "--from", "ftp://a.b/c"], "http://"),
        (vec!["cifar10", "--out", "file"], "cannot make `file`"),
        (vec!["cifar10", "--tries", "0"], "--tries"),
        (vec!["cifar10", "--timeout", "0"], "--timeout"),
    ] {
        let message = sentence(&command(folder.path(), &arguments).output().unwrap(), 2);
        assert!(message.contains(part), "{message}");
    }
    assert_eq!(names(folder.path()), ["file"]);
}

#[test]
fn a_mirror_without_the_file_is_one_sentence() {
    let folder = TempDir::new().unwrap();
    let server = Server::new(|_, request, mut answer| match request.path.as_str() {
        "/short/cifar-10-binary.tar.gz" => answer.whole(b"<html>sign in first</html>"),
        _ => answer.send("404 Not Found", &["Content-Length: 0".into()], b""),
    });
    for (name, place, part) in [
        ("cifar10", "gone", "404"),
        ("cifar100", "gone", "404"),
        ("svhn", "gone", "404"),
        ("cifar10", "short", "26 bytes"),
    ] {
        let from = format!("{}/{place}", server.address);
        let output = command(folder.path(), &[name, "--from", &from]).output().unwrap();
        let message = sentence(&output, 1);
        assert!(message.contains(&from) && message.contains(part), "{message}");
        assert!(names(&folder.path().join("data").join(name)).is_empty());
    }
    let asked: Vec<String> = server.requests().into_iter().map(|request| request.path).collect();
    assert_eq!(asked[1], "/gone/cifar-100-binary.tar.gz");
    assert_eq!(asked[2], "/gone/train_32x32.mat");
}

/// Gives a part of the archive, and stays silent then.
fn silent(bytes: usize) -> Server {
    Server::new(move |_, request, mut answer| {
        let from = request.from().unwrap_or(0);
        let (status, range) = match from {
            0 => ("200 OK", String::new()),
            _ => ("206 Partial Content", format!("bytes {from}-{}/{LENGTH}", LENGTH - 1)),
        };
        let mut lines = vec![format!("Content-Length: {}", LENGTH - from), "ETag: \"a\"".into()];
        lines.extend((from > 0).then(|| format!("Content-Range: {range}")));
        answer.send(status, &lines, &vec![1; bytes]);
        answer.stall();
    })
}

#[cfg(unix)]
#[test]
fn what_is_interrupted_goes_on() {
    let folder = TempDir::new().unwrap();
    let part = folder.path().join("data/cifar10").join(format!("{ARCHIVE}.part"));
    let there = || fs::metadata(&part).map_or(0, |metadata| metadata.len());
    let server = silent(100_000);
    for call in 1..=2_u64 {
        let arguments = ["cifar10", "--from", &server.address, "--timeout", "1", "--tries", "100"];
        let mut command = command(folder.path(), &arguments);
        let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        while there() < call * 100_000 {
            std::thread::sleep(Duration::from_millis(5));
        }
        Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
        let output = child.wait_with_output().unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(130), "{message}");
        assert!(message.contains("`data/cifar10`, and the same command goes on"), "{message}");
        assert!(there() >= call * 100_000);
    }
    let asked = server.requests();
    assert_eq!(asked[0].from(), None);
    assert!(asked[1..].iter().all(|asked| asked.header("if-range") == Some("\"a\"")));
    assert!(asked[1..].iter().all(|asked| asked.from().is_some_and(|from| from % 100_000 == 0)));
}

#[cfg(unix)]
#[test]
fn a_full_disk_is_one_sentence_and_the_next_call_goes_on() {
    let folder = TempDir::new().unwrap();
    let server = silent(1_000_000);
    let binary = env!("CARGO_BIN_EXE_cure");
    let run = |blocks: u64| {
        // The signal would end the process before it can say anything.
        let script = format!(
            "trap '' XFSZ; ulimit -f {blocks}; exec {binary} data fetch cifar10 --out . --from {}",
            server.address
        );
        let mut command = Command::new("sh");
        command.current_dir(folder.path()).args(["-c", &script]);
        let message = sentence(&command.env_remove("http_proxy").output().unwrap(), 1);
        assert!(message.contains(&format!("cannot write `./{ARCHIVE}.part`")), "{message}");
        assert!(message.contains("it goes on from what is there"), "{message}");
        let part = fs::metadata(folder.path().join(format!("{ARCHIVE}.part"))).unwrap();
        assert_eq!(part.len(), 512 * blocks);
    };
    run(100);
    run(200);
    assert_eq!(server.requests()[1].from(), Some(51_200));
}

#[test]
fn what_is_there_is_not_downloaded() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/cifar10");
    if !folder.is_dir() {
        return eprintln!("skipped: {} is not there", folder.display());
    }
    let server = Server::new(|_, _, mut answer| answer.whole(b""));
    let place = folder.to_str().unwrap();
    let arguments = ["cifar10", "--out", place, "--from", &server.address];
    let output = command(&folder, &arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("50000 training and 10000 test images"), "{text}");
    assert_eq!(text.lines().last(), Some(&*format!("--data cifar10:{place}")));
    assert!(server.requests().is_empty());
}
