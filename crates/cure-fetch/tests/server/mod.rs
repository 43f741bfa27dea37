//! A server on this machine whose every answer the test decides, and what the tests share.
#![allow(dead_code)]

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use cure_fetch::{Contents, FetchError, Observer, Patience, RemoteFile, Source, fetch};

/// What was asked.
#[derive(Debug, Clone)]
pub struct Request {
    pub path: String,
    pub headers: HashMap<String, String>,
}

impl Request {
    /// The first byte asked for.
    pub fn from(&self) -> Option<usize> {
        let range = self.headers.get("range")?.strip_prefix("bytes=")?.strip_suffix('-')?;
        range.parse().ok()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

/// One side of a conversation.
pub struct Answer<'a> {
    stream: &'a mut TcpStream,
    stopped: &'a AtomicBool,
}

impl Answer<'_> {
    /// Sends a head with these lines, and the beginning of a body. A client that has gone is none
    /// of the server's business.
    pub fn send(&mut self, status: &str, lines: &[String], body: &[u8]) {
        let mut head = format!("HTTP/1.1 {status}\r\nConnection: close\r\n");
        for line in lines {
            head += &format!("{line}\r\n");
        }
        let _ = self.stream.write_all((head + "\r\n").as_bytes());
        let _ = self.stream.write_all(body);
    }

    /// The whole of a file.
    pub fn whole(&mut self, body: &[u8]) {
        self.send("200 OK", &[format!("Content-Length: {}", body.len())], body);
    }

    /// What was asked of a file, as a good server gives it, but no more than `most` bytes of it.
    pub fn part(&mut self, request: &Request, file: &[u8], tag: &str, most: usize) {
        let tag_line = format!("ETag: {tag}");
        let unchanged = request.header("if-range").is_none_or(|wanted| wanted == tag);
        match request.from().filter(|_| unchanged) {
            Some(from) if from >= file.len() => {
                self.send("416 Range Not Satisfiable", &["Content-Length: 0".to_owned()], b"");
            }
            Some(from) => {
                let lines = [
                    format!("Content-Length: {}", file.len() - from),
                    format!("Content-Range: bytes {from}-{}/{}", file.len() - 1, file.len()),
                    tag_line,
                ];
                let end = file.len().min(from.saturating_add(most));
                self.send("206 Partial Content", &lines, &file[from..end]);
            }
            None => {
                let lines = [format!("Content-Length: {}", file.len()), tag_line];
                self.send("200 OK", &lines, &file[..file.len().min(most)]);
            }
        }
    }

    /// Says nothing more, and does not go away, until the test is over.
    pub fn stall(&self) {
        while !self.stopped.load(Ordering::SeqCst) {
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Answers until it is dropped.
pub struct Server {
    pub address: String,
    requests: Arc<Mutex<Vec<Request>>>,
    stopped: Arc<AtomicBool>,
}

impl Server {
    /// Each request is answered by `answer`, which is told how many came before it.
    pub fn new(answer: impl Fn(usize, &Request, Answer<'_>) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let stopped = Arc::new(AtomicBool::new(false));
        let answer = Arc::new(answer);
        let (log, stop) = (requests.clone(), stopped.clone());
        thread::spawn(move || {
            for stream in listener.incoming() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let (log, stop, answer) = (log.clone(), stop.clone(), answer.clone());
                thread::spawn(move || {
                    let mut stream = stream.unwrap();
                    let Some(request) = read_request(&stream) else { return };
                    let before = {
                        let mut log = log.lock().unwrap();
                        log.push(request.clone());
                        log.len() - 1
                    };
                    answer(before, &request, Answer { stream: &mut stream, stopped: &stop });
                    // What was sent is read to its end before the connection is gone.
                    let _ = stream.shutdown(Shutdown::Write);
                    let _ = stream.read(&mut [0; 64]);
                });
            }
        });
        Self { address, requests, stopped }
    }

    /// What was asked so far.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        // Wakes the one that waits for connections.
        let _ = TcpStream::connect(self.address.trim_start_matches("http://"));
    }
}

fn read_request(stream: &TcpStream) -> Option<Request> {
    let mut lines = BufReader::new(stream).lines();
    let path = lines.next()?.ok()?.split(' ').nth(1)?.to_owned();
    let mut headers = HashMap::new();
    for line in lines {
        let line = line.ok()?;
        let Some((name, value)) = line.split_once(':') else { break };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    Some(Request { path, headers })
}

/// Keeps what it is told, and stops after so many bytes of a file, or out of an archive.
#[derive(Default)]
pub struct Log {
    pub remarks: Vec<String>,
    pub stop_at: Option<u64>,
    pub stop_unpacking_at: Option<u64>,
    pub begun: Vec<(String, u64, u64)>,
}

impl Observer for Log {
    fn begin(&mut self, what: &str, done: u64, size: u64) {
        self.begun.push((what.to_owned(), done, size));
    }

    fn progress(&mut self, done: u64) -> ControlFlow<()> {
        let unpacking = self.begun.last().is_some_and(|(what, ..)| what == "unpacking");
        match if unpacking { self.stop_unpacking_at } else { self.stop_at } {
            Some(stop) if done >= stop => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    }

    fn remark(&mut self, text: &str) {
        self.remarks.push(text.to_owned());
    }
}

/// Long waits, no pauses: nothing depends on how fast the machine is.
pub fn patient() -> Patience {
    let wait = Duration::from_secs(60);
    Patience { connect: wait, read: wait, tries: 4, pause: Duration::ZERO }
}

/// Bytes that do not repeat soon.
pub fn bytes(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..length).map(|_| next()).collect()
}

pub fn md5(bytes: &[u8]) -> String {
    use md5::{Digest, Md5};
    Md5::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The names in a folder.
pub fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

pub const NAME: &str = "data.mat";

/// Fetches `file` from a server; what it says, and what was noted meanwhile.
pub fn bring(server: &Server, file: &[u8], folder: &Path, patience: &Patience) -> Outcome {
    bring_until(server, file, folder, patience, None)
}

/// What came of it.
pub struct Outcome {
    pub result: Result<bool, FetchError>,
    pub log: Log,
}

impl Outcome {
    /// What it says, which is not about what the user gave.
    pub fn refusal(self) -> String {
        let error = self.result.unwrap_err();
        assert!(!error.is_input(), "{error}");
        error.to_string()
    }
}

/// [`bring`], stopped after so many bytes.
pub fn bring_until(
    server: &Server,
    file: &[u8],
    folder: &Path,
    patience: &Patience,
    stop_at: Option<u64>,
) -> Outcome {
    let sum = md5(file);
    let size = file.len() as u64;
    let files = [RemoteFile { name: NAME, size, md5: &sum, contents: Contents::Itself }];
    let source = Source { name: "made-up", address: &server.address, files: &files };
    let mut log = Log { stop_at, ..Log::default() };
    let result = fetch(&source, folder, None, patience, &mut log);
    Outcome { result, log }
}

/// The first bytes asked for.
pub fn froms(requests: &[Request]) -> Vec<Option<usize>> {
    requests.iter().map(Request::from).collect()
}
