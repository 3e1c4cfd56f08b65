//! A vendor's own system that takes webhooks: it answers every call with 204 and remembers what was told under which id.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
};

/// What was told under each id; a body that was told twice is there twice.
type Told = Arc<Mutex<BTreeMap<String, Vec<String>>>>;

/// The headers of the latest call under each id, with their names in lower case.
type Headers = Arc<Mutex<BTreeMap<String, BTreeMap<String, String>>>>;

/// The system. Its thread ends with the test's process.
pub(crate) struct Receiver {
    address: SocketAddr,
    told: Told,
    headers: Headers,
}

impl Receiver {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let receiver =
            Self { address: listener.local_addr().unwrap(), told: Told::default(), headers: Headers::default() };
        let (told, headers) = (Arc::clone(&receiver.told), Arc::clone(&receiver.headers));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (told, headers) = (Arc::clone(&told), Arc::clone(&headers));
                std::thread::spawn(move || serve(&stream, &told, &headers));
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

    /// A header of the latest call under an id.
    pub(crate) fn header(&self, id: &str, name: &str) -> String {
        self.headers.lock().unwrap()[id][name].clone()
    }
}

fn serve(stream: &TcpStream, told: &Told, headers: &Headers) -> Option<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let mut head = BTreeMap::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
            let line = line.trim_end();
            if line.is_empty() {
                break;
            }
            head.extend(line.split_once(": ").map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())));
        }
        let id = head.get("webhook-id").cloned().unwrap_or_default();
        let length = head.get("content-length").map_or(Some(0), |length| length.parse().ok())?;
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        headers.lock().unwrap().insert(id.clone(), head);
        told.lock().unwrap().entry(id).or_default().push(String::from_utf8(body).ok()?);
        (&*stream).write_all(b"HTTP/1.1 204 No Content\r\n\r\n").ok()?;
    }
}
