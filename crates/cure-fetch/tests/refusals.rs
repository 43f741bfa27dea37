//! Servers, files and folders that are no use.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod server;

use std::fs;
use std::time::Duration;

use cure_fetch::{Contents, Patience, RemoteFile, Source, fetch};
use server::{Log, NAME, Server, bring, bytes, froms, md5, names, patient};
use tempfile::TempDir;

#[test]
fn wrong_bytes_are_removed_and_both_sums_told() {
    let file = bytes(50_000, 8);
    let other = bytes(50_000, 9);
    let body = other.clone();
    let server = Server::new(move |_, _, mut answer| answer.whole(&body));
    let folder = TempDir::new().unwrap();
    let message = bring(&server, &file, folder.path(), &patient()).refusal();
    assert!(message.contains(&md5(&file)) && message.contains(&md5(&other)), "{message}");
    assert!(names(folder.path()).is_empty(), "{:?}", names(folder.path()));
    // One answer, no pieces: asking again would not help.
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn another_length_is_refused_before_anything_is_written() {
    let file = bytes(50_000, 10);
    for length in [0, 49_999, 50_001, u64::MAX] {
        let server = Server::new(move |_, _, mut answer| {
            answer.send("200 OK", &[format!("Content-Length: {length}")], &[1; 100]);
        });
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join(format!("{NAME}.part")), &file[..1000]).unwrap();
        let message = bring(&server, &file, folder.path(), &patient()).refusal();
        assert!(message.contains(&format!("{length} bytes")), "{message}");
        assert!(message.contains("50000"), "{message}");
        let part = fs::read(folder.path().join(format!("{NAME}.part"))).unwrap();
        assert!(part == file[..1000]);
    }
}

#[test]
fn a_body_of_unknown_length_is_bounded_and_may_be_right() {
    let file = bytes(50_000, 11);
    for extra in [0, 1, 1_000_000] {
        let mut body = file.clone();
        body.resize(50_000 + extra, 7);
        let server = Server::new(move |_, _, mut answer| answer.send("200 OK", &[], &body));
        let folder = TempDir::new().unwrap();
        let outcome = bring(&server, &file, folder.path(), &patient());
        if extra == 0 {
            assert!(outcome.result.unwrap());
            continue;
        }
        let message = outcome.refusal();
        assert!(message.contains("more than the 50000 bytes"), "{message}");
        assert!(names(folder.path()).is_empty());
    }
}

#[test]
fn what_lasts_is_told_at_once_and_what_may_pass_is_tried_again() {
    let file = bytes(50_000, 13);
    for (status, tries) in
        [("404 Not Found", 1), ("403 Forbidden", 1), ("500 Oops", 4), ("429 Too Many", 4)]
    {
        let server = Server::new(move |_, _, mut answer| {
            answer.send(status, &["Content-Length: 4".into()], b"page");
        });
        let folder = TempDir::new().unwrap();
        let outcome = bring(&server, &file, folder.path(), &patient());
        assert_eq!(outcome.log.remarks.len(), tries - 1, "{status}");
        let message = outcome.refusal();
        assert!(message.contains(&status[..3]), "{message}");
        assert_eq!(server.requests().len(), tries, "{status}");
        assert_eq!(message.lines().count(), 1);
    }
    let body = file.clone();
    let server = Server::new(move |before, _, mut answer| match before {
        0 | 1 => answer.send("503 Busy", &["Content-Length: 0".into()], b""),
        // Nothing at all, then something that is no HTTP.
        2 => {}
        _ => answer.whole(&body),
    });
    let folder = TempDir::new().unwrap();
    assert!(bring(&server, &file, folder.path(), &patient()).result.unwrap());
    assert_eq!(server.requests().len(), 4);
}

#[test]
fn a_server_that_answers_nonsense_is_refused() {
    let file = bytes(50_000, 14);
    let part = |folder: &TempDir| {
        fs::write(folder.path().join(format!("{NAME}.part")), &file[..1000]).unwrap();
    };
    for (range, problem) in [
        ("bytes 0-49999/50000", "another part"),
        ("bytes 1000-49999/60000", "60000 bytes"),
        ("lines 3", "another part"),
        ("bytes */50000", "another part"),
    ] {
        let server = Server::new(move |_, _, mut answer| {
            answer.send("206 Partial Content", &[format!("Content-Range: {range}")], &[0; 10]);
        });
        let folder = TempDir::new().unwrap();
        part(&folder);
        let message = bring(&server, &file, folder.path(), &patient()).refusal();
        assert!(message.contains(&server.address) && message.contains(problem), "{message}");
        assert!(!folder.path().join(NAME).exists());
    }
    // A part where the whole was asked for.
    let server = Server::new(|_, _, mut answer| {
        let range = "Content-Range: bytes 0-9/50000".into();
        answer.send("206 Partial Content", &[range], &[0; 10]);
    });
    let folder = TempDir::new().unwrap();
    let message = bring(&server, &file, folder.path(), &patient()).refusal();
    assert!(message.contains("206"), "{message}");
    // A part that the server says it does not have.
    let body = file.clone();
    let server = Server::new(move |before, _, mut answer| match before {
        0 => answer.send("416 Range Not Satisfiable", &["Content-Length: 0".into()], b""),
        _ => answer.whole(&body),
    });
    let folder = TempDir::new().unwrap();
    part(&folder);
    assert!(bring(&server, &file, folder.path(), &patient()).result.unwrap());
    assert_eq!(froms(&server.requests()), [Some(1000), None]);
}

#[test]
fn a_server_that_stalls_is_not_waited_for() {
    let file = bytes(50_000, 15);
    let wait = Duration::from_millis(100);
    let impatient = Patience { connect: wait, read: wait, tries: 2, pause: Duration::ZERO };
    // Before its answer, and in the middle of it.
    for sent in [None, Some(20_000)] {
        let body = file.clone();
        let server = Server::new(move |_, _, mut answer| {
            if let Some(sent) = sent {
                answer.send("200 OK", &["Content-Length: 50000".into()], &body[..sent]);
            }
            answer.stall();
        });
        let folder = TempDir::new().unwrap();
        let message = bring(&server, &file, folder.path(), &impatient).refusal();
        assert!(message.contains("no answer in time"), "{message}");
        let part = fs::metadata(folder.path().join(format!("{NAME}.part")));
        assert_eq!(part.map(|part| part.len()).ok(), sent.map(|sent| sent as u64));
    }
}

#[test]
fn no_server_is_a_sentence() {
    let file = bytes(1000, 16);
    let gone = Server::new(|_, _, _| {});
    let address = gone.address.clone();
    drop(gone);
    let sum = md5(&file);
    let files = [RemoteFile { name: NAME, size: 1000, md5: &sum, contents: Contents::Itself }];
    // Names under .invalid never resolve.
    for address in [address.as_str(), "http://nowhere.invalid"] {
        let source = Source { name: "made-up", address, files: &files };
        let folder = TempDir::new().unwrap();
        let short = Patience { tries: 2, ..patient() };
        let error = fetch(&source, folder.path(), None, &short, &mut Log::default()).unwrap_err();
        assert!(!error.is_input());
        let message = error.to_string();
        assert!(message.contains(address) && message.contains("2 tries"), "{message}");
        assert!(message.contains("try later, or another server"), "{message}");
    }
}

#[test]
fn the_users_files_and_other_downloads_are_left_alone() {
    let file = bytes(1000, 17);
    let body = file.clone();
    let server = Server::new(move |_, _, mut answer| answer.whole(&body));
    let folder = TempDir::new().unwrap();
    let refused = |what: &str| {
        let error = bring(&server, &file, folder.path(), &patient()).result.unwrap_err();
        assert!(error.is_input() && error.to_string().contains(what), "{error}");
    };
    let place = folder.path().join(NAME);
    fs::write(&place, "mine").unwrap();
    refused("it has 4 bytes, not 1000");
    fs::write(&place, bytes(1000, 18)).unwrap();
    refused(&md5(&file));
    fs::remove_file(&place).unwrap();
    fs::create_dir(&place).unwrap();
    refused("no plain file");
    fs::remove_dir(&place).unwrap();
    // A folder that is a file, and a part that is a folder.
    fs::write(&place, &file).unwrap();
    let error = bring(&server, &file, &place, &patient()).result.unwrap_err();
    assert!(error.is_input() && error.to_string().contains("cannot make"), "{error}");
    fs::remove_file(&place).unwrap();
    let part = folder.path().join(format!("{NAME}.part"));
    fs::create_dir(&part).unwrap();
    refused("cannot write");
    fs::remove_dir(&part).unwrap();

    #[cfg(unix)]
    {
        let handle = fs::File::open(folder.path()).unwrap();
        handle.lock().unwrap();
        refused("another download");
    }
    assert!(server.requests().is_empty());
    assert!(bring(&server, &file, folder.path(), &patient()).result.unwrap());
}
