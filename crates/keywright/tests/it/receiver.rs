//! A vendor's own system that takes webhooks: it answers every call with 204 and remembers what was told under which id.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
};

/// What was told under each id; a body that was told twice is there twice.
type Told = Arc<Mutex<BTreeMap<String, Vec<String>>>>;

/// The system. Its thread ends with the test's process.
pub(crate) struct Receiver {
    address: SocketAddr,
    told: Told,
}

impl Receiver {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let receiver = Self { address: listener.local_addr().unwrap(), told: Told::default() };
        let told = Arc::clone(&receiver.told);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let told = Arc::clone(&told);
                std::thread::spawn(move || serve(&stream, &told));
            }
        });
        receiver
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hooks", self.address)
    }

    pub(crate) fn told(&self) -> BTreeMap<String, Vec<String>> {
        self.told.lock().unwrap().clone()
    }
}

fn serve(stream: &TcpStream, told: &Mutex<BTreeMap<String, Vec<String>>>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let (mut id, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
            let line = line.trim_end().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("webhook-id: ") {
                value.clone_into(&mut id);
            }
            if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.parse().ok()?;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        told.lock().unwrap().entry(id).or_default().push(String::from_utf8(body).ok()?);
        (&*stream).write_all(b"HTTP/1.1 204 No Content\r\n\r\n").ok()?;
    }
}
