//! Archives good and bad.
#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod server;

use std::fs;
use std::io::Write;
use std::path::Path;

use cure_fetch::{Contents, FetchError, Member, RemoteFile, Source, fetch};
use flate2::Compression;
use flate2::write::GzEncoder;
use server::{Log, Server, bytes, md5, names, patient};
use tar::{Builder, EntryType, Header};
use tempfile::TempDir;

const NAME: &str = "batches.tar.gz";
const FOLDER: &str = "batches";

/// The files that are expected: their names and contents.
fn expected() -> [(&'static str, Vec<u8>); 2] {
    [("one.bin", bytes(70_000, 1)), ("two.bin", bytes(30_000, 2))]
}

/// An entry; its name as it is, whatever it is.
fn add(archive: &mut Builder<Vec<u8>>, name: &str, kind: EntryType, body: &[u8]) {
    let mut header = Header::new_ustar();
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_entry_type(kind);
    header.set_size(body.len() as u64);
    header.set_mode(0o644);
    if matches!(kind, EntryType::Symlink | EntryType::Link) {
        header.as_old_mut().linkname[..11].copy_from_slice(b"/etc/passwd");
    }
    header.set_cksum();
    archive.append(&header, body).unwrap();
}

fn compressed(archive: Builder<Vec<u8>>) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&archive.into_inner().unwrap()).unwrap();
    encoder.finish().unwrap()
}

/// The archive as it should be, with whatever `more` puts before the files.
fn archive(more: impl FnOnce(&mut Builder<Vec<u8>>)) -> Vec<u8> {
    let mut archive = Builder::new(Vec::new());
    add(&mut archive, "batches/", EntryType::Directory, b"");
    more(&mut archive);
    for (name, body) in expected() {
        add(&mut archive, &format!("{FOLDER}/{name}"), EntryType::Regular, &body);
    }
    compressed(archive)
}

/// Fetches an archive whose sum is right, whatever it holds, from `address`.
fn bring(address: &str, archive: &[u8], folder: &Path, log: &mut Log) -> Result<bool, FetchError> {
    let sums = expected().map(|(_, body)| md5(&body));
    let [one, two] = expected();
    let members = [
        Member { name: one.0, size: 70_000, md5: Some(&sums[0]) },
        // Not every publisher gives all sums.
        Member { name: two.0, size: 30_000, md5: None },
    ];
    let sum = md5(archive);
    let contents = Contents::TarGz { folder: FOLDER, members: &members };
    let files = [RemoteFile { name: NAME, size: archive.len() as u64, md5: &sum, contents }];
    let source = Source { name: "made-up", address, files: &files };
    fetch(&source, folder, None, &patient(), log)
}

fn serve(archive: &[u8]) -> Server {
    let body = archive.to_vec();
    Server::new(move |_, request, mut answer| answer.part(request, &body, "\"a\"", usize::MAX))
}

fn check_files(folder: &Path) {
    for (name, body) in expected() {
        assert!(fs::read(folder.join(name)).unwrap() == body, "{name}");
    }
}

#[test]
fn the_files_are_taken_and_nothing_else() {
    let archive = archive(|archive| {
        add(archive, "batches/readme.html", EntryType::Regular, b"hello");
        add(archive, "one.bin", EntryType::Regular, b"another");
        add(archive, "batches/more/one.bin", EntryType::Regular, b"another");
        add(archive, "pax", EntryType::XGlobalHeader, b"11 path=/x\n");
        // It would give the next entry another name.
        add(archive, "pax", EntryType::XHeader, b"19 path=/tmp/evil\n\n");
    });
    let server = serve(&archive);
    let folder = TempDir::new().unwrap();
    let mut log = Log::default();
    assert!(bring(&server.address, &archive, folder.path(), &mut log).unwrap());
    assert_eq!(names(folder.path()), [FOLDER]);
    assert_eq!(names(&folder.path().join(FOLDER)), ["one.bin", "two.bin"]);
    check_files(&folder.path().join(FOLDER));
    assert_eq!(log.begun[1], ("unpacking".to_owned(), 0, 100_000));

    // All is there: nobody is asked. One is gone: the archive comes again.
    assert!(!bring(&server.address, &archive, folder.path(), &mut log).unwrap());
    assert_eq!(server.requests().len(), 1);
    fs::remove_file(folder.path().join("batches/two.bin")).unwrap();
    assert!(bring(&server.address, &archive, folder.path(), &mut log).unwrap());
    assert_eq!(server.requests().len(), 2);
    check_files(&folder.path().join(FOLDER));
    // One is another: that is for its owner to decide.
    fs::write(folder.path().join("batches/one.bin"), bytes(70_000, 3)).unwrap();
    let error = bring(&server.address, &archive, folder.path(), &mut log).unwrap_err();
    assert!(error.is_input() && error.to_string().contains("one.bin"), "{error}");
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn files_that_lie_open_are_completed_where_they_lie() {
    let archive = archive(|_| {});
    let server = serve(&archive);
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("one.bin"), &expected()[0].1).unwrap();
    assert!(bring(&server.address, &archive, folder.path(), &mut Log::default()).unwrap());
    assert_eq!(names(folder.path()), ["one.bin", "two.bin"]);
    check_files(folder.path());
    assert!(!bring(&server.address, &archive, folder.path(), &mut Log::default()).unwrap());
}

#[test]
fn an_archive_put_there_by_hand_is_used_and_kept() {
    let archive = archive(|_| {});
    let server = serve(&archive);
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join(NAME), &archive).unwrap();
    assert!(bring(&server.address, &archive, folder.path(), &mut Log::default()).unwrap());
    assert!(server.requests().is_empty());
    assert_eq!(names(folder.path()), [FOLDER, NAME]);
    check_files(&folder.path().join(FOLDER));

    // Half of one is no use, and stays as well.
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join(NAME), &archive[..1000]).unwrap();
    let mut log = Log::default();
    assert!(bring(&server.address, &archive, folder.path(), &mut log).unwrap());
    assert_eq!(server.requests().len(), 1);
    assert!(log.remarks[0].contains("left alone"), "{:?}", log.remarks);
    assert_eq!(names(folder.path()), [FOLDER, NAME]);
    check_files(&folder.path().join(FOLDER));
}

#[test]
fn archives_that_are_not_honest_are_refused_whole() {
    use EntryType::{
        Block, Char, Continuous, Fifo, GNULongName, GNUSparse, Link, Regular, Symlink,
    };
    let outside = TempDir::new().unwrap();
    let absolute = outside.path().join("evil").display().to_string();
    let one = bytes(70_000, 1);
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (archive(|archive| add(archive, "batches/../../evil", Regular, b"x")), "../../evil"),
        (archive(|archive| add(archive, "../evil", Regular, b"x")), "../evil"),
        (archive(|archive| add(archive, &absolute, Regular, b"x")), "evil"),
        (archive(|archive| add(archive, "batches\\..\\evil", Regular, b"x")), "evil"),
        (archive(|archive| add(archive, "C:evil", Regular, b"x")), "C:evil"),
        (archive(|archive| add(archive, "..", EntryType::Directory, b"")), "named `..`"),
        (archive(|archive| add(archive, "batches/one.bin", Symlink, b"")), "neither a file"),
        (archive(|archive| add(archive, "batches/x", Symlink, b"")), "neither a file"),
        (archive(|archive| add(archive, "batches/one.bin", Link, b"")), "neither a file"),
        (archive(|archive| add(archive, "batches/one.bin", Char, b"")), "neither a file"),
        (archive(|archive| add(archive, "batches/one.bin", Block, b"")), "neither a file"),
        (archive(|archive| add(archive, "batches/one.bin", Fifo, b"")), "neither a file"),
        (archive(|archive| add(archive, "batches/one.bin", Continuous, b"")), "neither a file"),
        (archive(|archive| add(archive, "batches/one.bin", GNUSparse, b"")), "neither a file"),
        (archive(|archive| add(archive, "././@LongLink", GNULongName, b"a")), "neither a file"),
        (archive(|archive| add(archive, "batches/one.bin", Regular, &one)), "one.bin twice"),
        (archive(|archive| add(archive, "batches/one.bin", Regular, b"x")), "has 1 bytes"),
        (
            archive(|archive| (0..100).for_each(|_| add(archive, "batches/x", Regular, b""))),
            "more than 64 entries",
        ),
        (
            archive(|archive| add(archive, "batches/x", Regular, &vec![0; 3 << 20])),
            "unpacks to more than",
        ),
        // An entry that says it is far larger than all there is.
        (
            archive(|archive| {
                let mut header = Header::new_ustar();
                header.set_path("batches/one.bin").unwrap();
                header.set_size(8 << 30);
                header.set_cksum();
                archive.append(&header, std::io::empty()).unwrap();
            }),
            "has 8589934592 bytes",
        ),
        (compressed(Builder::new(Vec::new())), "has no batches/one.bin"),
        (b"no archive at all".to_vec(), "cannot be unpacked"),
        (Vec::new(), "cannot be unpacked"),
    ];
    for (archive, problem) in cases {
        refused(&archive, problem);
    }
    assert!(names(outside.path()).is_empty());
}

/// Neither a file, nor half of one, nor a folder is left.
fn refused(archive: &[u8], problem: &str) {
    let server = serve(archive);
    let above = TempDir::new().unwrap();
    let folder = above.path().join("in");
    let error = bring(&server.address, archive, &folder, &mut Log::default()).unwrap_err();
    assert!(matches!(error, FetchError::Archive { .. }), "{error}");
    let message = error.to_string();
    assert!(message.contains(problem), "{problem}: {message}");
    assert_eq!(message.lines().count(), 1);
    let mut left = names(&folder);
    left.retain(|name| !name.starts_with(&format!("{NAME}.part")));
    assert!(left.is_empty(), "{problem}: {left:?}");
    assert_eq!(names(above.path()), ["in"]);
}

#[test]
fn an_archive_that_ends_anywhere_is_refused() {
    let archive = archive(|_| {});
    // Its last eight bytes are the sum and the length of what it unpacks to.
    for length in [10, archive.len() / 2, archive.len() - 9, archive.len() - 1] {
        refused(&archive[..length], "cannot be unpacked");
    }
    for at in [archive.len() - 8, archive.len() - 1] {
        let mut changed = archive.clone();
        changed[at] ^= 1;
        refused(&changed, "cannot be unpacked");
    }
}

#[test]
fn unpacking_that_is_stopped_leaves_no_half_files_and_needs_no_second_download() {
    let archive = archive(|_| {});
    let server = serve(&archive);
    let folder = TempDir::new().unwrap();
    // A killed process left this.
    let staging = folder.path().join(format!("{NAME}.unpacking"));
    fs::create_dir(&staging).unwrap();
    fs::write(staging.join("one.bin"), "half").unwrap();
    assert!(bring(&server.address, &archive, folder.path(), &mut Log::default()).unwrap());
    fs::remove_dir_all(folder.path().join(FOLDER)).unwrap();

    let mut log = Log { stop_unpacking_at: Some(80_000), ..Log::default() };
    let error = bring(&server.address, &archive, folder.path(), &mut log).unwrap_err();
    assert!(matches!(error, FetchError::Interrupted { .. }), "{error}");
    assert_eq!(names(folder.path()), [format!("{NAME}.part"), format!("{NAME}.part.from")]);
    let asked = server.requests().len();
    assert!(bring(&server.address, &archive, folder.path(), &mut Log::default()).unwrap());
    assert_eq!(server.requests().len(), asked);
    assert_eq!(names(folder.path()), [FOLDER]);
    check_files(&folder.path().join(FOLDER));
}
