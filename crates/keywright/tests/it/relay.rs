//! What stands around a server: the relay that takes its mails, and the Stripe that answers its look-ups.

use std::{
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Command, Stdio},
    sync::{Arc, Mutex, MutexGuard},
};

use serde_json::{Value, json};

use crate::process::Process;

/// The interpreter that has other people's implementations.
pub(crate) fn python() -> Command {
    Command::new(std::env::var("KEYWRIGHT_TEST_PYTHON").expect("run the tests with `cargo xtask test`"))
}

/// A real SMTP server that accepts everything and tells what it got.
pub(crate) struct Relay {
    port: u16,
    mails: Arc<Mutex<Vec<Value>>>,
    _process: Process,
}

impl Relay {
    pub(crate) fn start() -> Self {
        Self::with_mode("accept")
    }

    /// The same in another of the script's modes that take mails.
    pub(crate) fn with_mode(mode: &str) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../delivery/tests/it/smtp_server.py");
        let mut child = python().arg(script).arg(mode).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        let port = u16::try_from(first["port"].as_u64().unwrap()).unwrap();
        let mails = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&mails);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                kept.lock().unwrap().extend(serde_json::from_str::<Value>(&line).ok());
            }
        });
        Self { port, mails, _process: Process(child) }
    }

    /// Its address, as the server wants it.
    pub(crate) fn url(&self) -> String {
        format!("smtp://127.0.0.1:{}?tls=none", self.port)
    }

    /// What it got so far.
    pub(crate) fn mails(&self) -> MutexGuard<'_, Vec<Value>> {
        self.mails.lock().unwrap()
    }
}

/// Events on a page of the list, whatever is asked for, so that a list of a few events has several pages.
const PAGE: usize = 5;

/// A Stripe that says of every checkout that it has these lines, and that these events have happened, the newest first, for
/// as long as the test process lives.
pub(crate) fn stripe(lines: &Value, events: Vec<Value>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let lines = lines.to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            answer(stream, &lines, &events);
        }
    });
    address
}

fn answer(mut stream: TcpStream, lines: &str, events: &[Value]) {
    let mut request = String::new();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    while reader.read_line(&mut request).is_ok_and(|read| read > 2) {}
    let (status, body) = match &request {
        asked if asked.contains("/line_items") => ("200 OK", lines.to_owned()),
        asked if asked.starts_with("GET /v1/events?") => ("200 OK", page(events, asked)),
        _ => ("404 Not Found", "{}".to_owned()),
    };
    let head = format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
    let _ = stream.write_all([head.as_bytes(), body.as_bytes()].concat().as_slice());
}

/// The page that a request asks for.
fn page(events: &[Value], request: &str) -> String {
    let after = request.split(['&', ' ']).find_map(|part| part.strip_prefix("starting_after="));
    let start = after.map_or(0, |after| events.iter().position(|event| event["id"] == *after).unwrap() + 1);
    let rest = &events[start..];
    let on_it = rest.len().min(PAGE);
    json!({ "object": "list", "has_more": on_it < rest.len(), "data": rest[..on_it] }).to_string()
}
