//! Files that come in the end, whatever happens on the way.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod server;

use std::fs;

use cure_fetch::FetchError;
use server::{NAME, Server, bring, bring_until, bytes, froms, names, patient};
use tempfile::TempDir;

#[test]
fn a_good_server_is_asked_once_and_what_is_there_is_not_asked_for() {
    let file = bytes(300_000, 1);
    let body = file.clone();
    let server = Server::new(move |_, request, mut answer| {
        answer.part(request, &body, "\"a\"", usize::MAX);
    });
    let folder = TempDir::new().unwrap();
    let place = folder.path().join("new/er");
    let outcome = bring(&server, &file, &place, &patient());
    assert!(outcome.result.unwrap());
    assert!(outcome.log.remarks.is_empty());
    assert_eq!(outcome.log.begun, [(NAME.to_owned(), 0, 300_000)]);
    assert!(fs::read(place.join(NAME)).unwrap() == file);
    assert_eq!(names(&place), [NAME]);
    assert_eq!(server.requests()[0].path, format!("/{NAME}"));
    assert_eq!(server.requests()[0].header("accept-encoding"), Some("identity"));

    assert!(!bring(&server, &file, &place, &patient()).result.unwrap());
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_connection_that_is_cut_goes_on_where_it_ended() {
    let file = bytes(300_000, 2);
    let body = file.clone();
    // More often than there are tries in a row: each brings its part.
    let server = Server::new(move |_, request, mut answer| {
        answer.part(request, &body, "\"a\"", 40_000);
    });
    let folder = TempDir::new().unwrap();
    let outcome = bring(&server, &file, folder.path(), &patient());
    assert!(outcome.result.unwrap());
    assert!(fs::read(folder.path().join(NAME)).unwrap() == file);
    assert_eq!(names(folder.path()), [NAME]);
    let asked = froms(&server.requests());
    let expected: Vec<Option<usize>> =
        (0..8).map(|piece| (piece > 0).then_some(40_000 * piece)).collect();
    assert_eq!(asked, expected);
    assert!(server.requests()[1..].iter().all(|asked| asked.header("if-range") == Some("\"a\"")));
    assert_eq!(outcome.log.remarks.len(), 7, "{:?}", outcome.log.remarks);
}

#[test]
fn who_stops_goes_on_with_the_next_call() {
    let file = bytes(300_000, 3);
    let body = file.clone();
    let server = Server::new(move |_, request, mut answer| {
        answer.part(request, &body, "\"a\"", usize::MAX);
    });
    let folder = TempDir::new().unwrap();
    let outcome = bring_until(&server, &file, folder.path(), &patient(), Some(100_000));
    let error = outcome.result.unwrap_err();
    assert!(matches!(error, FetchError::Interrupted { .. }), "{error}");
    assert_eq!(names(folder.path()), [format!("{NAME}.part"), format!("{NAME}.part.from")]);
    let there = fs::metadata(folder.path().join(format!("{NAME}.part"))).unwrap().len();
    assert!((100_000..300_000).contains(&there));

    let outcome = bring(&server, &file, folder.path(), &patient());
    assert!(outcome.result.unwrap());
    assert_eq!(outcome.log.begun, [(NAME.to_owned(), there, 300_000)]);
    assert_eq!(server.requests()[1].from(), Some(there as usize));
    assert!(fs::read(folder.path().join(NAME)).unwrap() == file);
    assert_eq!(names(folder.path()), [NAME]);
}

#[test]
fn a_server_without_ranges_begins_anew() {
    let file = bytes(300_000, 4);
    let body = file.clone();
    let server = Server::new(move |before, _, mut answer| match before {
        0 => answer.send("200 OK", &["Content-Length: 300000".into()], &body[..100_000]),
        _ => answer.whole(&body),
    });
    let folder = TempDir::new().unwrap();
    assert!(bring(&server, &file, folder.path(), &patient()).result.unwrap());
    assert!(fs::read(folder.path().join(NAME)).unwrap() == file);
    assert_eq!(froms(&server.requests()), [None, Some(100_000)]);
}

/// It never gets further than half of the file, and is given up all the same.
#[test]
fn a_server_without_ranges_that_always_cuts_is_given_up() {
    let file = bytes(300_000, 5);
    let body = file.clone();
    let server = Server::new(move |_, _, mut answer| {
        answer.send("200 OK", &["Content-Length: 300000".into()], &body[..150_000]);
    });
    let folder = TempDir::new().unwrap();
    let message = bring(&server, &file, folder.path(), &patient()).refusal();
    assert!(message.contains("at the last of 4 tries; run the same command later"), "{message}");
    assert!(message.starts_with(&format!("{}/{NAME}: ", server.address)), "{message}");
    assert_eq!(server.requests().len(), 4);
    assert!(!folder.path().join(NAME).exists());
}

#[test]
fn a_file_that_changes_meanwhile_is_never_mixed() {
    let old = bytes(300_000, 6);
    let new = bytes(300_000, 7);
    // Servers that understand If-Range; that do not, but tell states apart; that do neither; and
    // one of the last kind whose ranges come as they please.
    for kind in 0..3 {
        let (before, after) = (old.clone(), new.clone());
        let server = Server::new(move |count, request, mut answer| {
            let mut request = request.clone();
            let (file, tag) = if count == 0 { (&before, "\"old\"") } else { (&after, "\"new\"") };
            if kind > 0 {
                request.headers.remove("if-range");
            }
            let tag = if kind == 2 { "W/\"weak\"" } else { tag };
            let most = if count == 0 { 100_000 } else { usize::MAX };
            answer.part(&request, file, tag, most);
        });
        let folder = TempDir::new().unwrap();
        let outcome = bring(&server, &new, folder.path(), &patient());
        let remarks = outcome.log.remarks;
        assert!(outcome.result.unwrap(), "{kind}");
        assert!(fs::read(folder.path().join(NAME)).unwrap() == new, "{kind}");
        assert_eq!(names(folder.path()), [NAME]);
        let remark = ["the server ended", "has changed", "do not fit together"][kind];
        let remarks = remarks.join("\n");
        assert!(remarks.contains(remark), "{kind}: {remarks}");
        let asked = froms(&server.requests());
        match kind {
            0 => assert_eq!(asked, [None, Some(100_000)]),
            _ => assert_eq!(asked, [None, Some(100_000), None], "{kind}"),
        }
    }
}

#[test]
fn a_redirect_is_followed_with_the_range() {
    let file = bytes(300_000, 12);
    let body = file.clone();
    let server = Server::new(move |_, request, mut answer| match request.path.as_str() {
        "/data.mat" => answer.send(
            "302 Found",
            &["Location: /elsewhere?x=1".into(), "Content-Length: 0".into()],
            b"",
        ),
        _ => answer.part(request, &body, "\"a\"", 200_000),
    });
    let folder = TempDir::new().unwrap();
    assert!(bring(&server, &file, folder.path(), &patient()).result.unwrap());
    assert!(fs::read(folder.path().join(NAME)).unwrap() == file);
    let asked = server.requests();
    let paths: Vec<&str> = asked.iter().map(|request| request.path.as_str()).collect();
    assert_eq!(paths, ["/data.mat", "/elsewhere?x=1", "/data.mat", "/elsewhere?x=1"]);
    assert_eq!(asked[3].from(), Some(200_000));

    let server = Server::new(|_, _, mut answer| {
        answer.send("302 Found", &["Location: /data.mat".into(), "Content-Length: 0".into()], b"");
    });
    let message = bring(&server, &file, TempDir::new().unwrap().path(), &patient()).refusal();
    assert!(message.contains("from one address to the next"), "{message}");
}

#[test]
fn a_part_from_elsewhere_is_gone_on_with_and_its_sum_decides() {
    let file = bytes(50_000, 19);
    // Right, wrong, too long, and as long as the file.
    let mut long = file.clone();
    long.push(0);
    for part in [&file[..1000], &bytes(1000, 20), &long, &file, &bytes(50_000, 21)] {
        let body = file.clone();
        let server = Server::new(move |_, request, mut answer| {
            answer.part(request, &body, "\"a\"", usize::MAX);
        });
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join(format!("{NAME}.part")), part).unwrap();
        let note = "http://other.example/data.mat\n\"b\"\n";
        fs::write(folder.path().join(format!("{NAME}.part.from")), note).unwrap();
        assert!(bring(&server, &file, folder.path(), &patient()).result.unwrap());
        assert!(fs::read(folder.path().join(NAME)).unwrap() == file);
        assert_eq!(names(folder.path()), [NAME]);
        assert!(server.requests().iter().all(|asked| asked.header("if-range").is_none()));
    }
}
