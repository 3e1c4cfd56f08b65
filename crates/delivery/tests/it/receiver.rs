//! Receivers of webhooks, of several temperaments.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};

/// What a receiver does with a call once it has read it.
#[derive(Clone)]
pub(crate) enum Temper {
    /// Answers this, with these header lines.
    Says(u16, &'static str, &'static str),
    /// Takes it, once it is let: a permit for each call.
    Waits(Arc<Semaphore>),
    /// Never answers.
    Hangs,
    /// Answers a byte at a time, and never ends.
    Drips,
    /// Answers with a gigabyte.
    Floods,
    /// Closes the connection without a word.
    Resets,
}

/// A call as it came in.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// `POST /hooks`.
    pub(crate) line: String,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: String,
}

/// A receiver on a port of its own; it ends with the runtime of the test.
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    temper: Arc<Mutex<Temper>>,
    calls: Arc<Mutex<Vec<Call>>>,
    /// Calls under way at the same time, now and at most.
    at_once: Arc<Mutex<(usize, usize)>>,
}

impl Receiver {
    pub(crate) async fn start(temper: Temper) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let receiver = Self {
            address: listener.local_addr().unwrap(),
            temper: Arc::new(Mutex::new(temper)),
            calls: Arc::default(),
            at_once: Arc::default(),
        };
        let (temper, calls, at_once) =
            (Arc::clone(&receiver.temper), Arc::clone(&receiver.calls), Arc::clone(&receiver.at_once));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (temper, calls, at_once) = (Arc::clone(&temper), Arc::clone(&calls), Arc::clone(&at_once));
                tokio::spawn(async move { serve(stream, &temper, &calls, &at_once).await });
            }
        });
        receiver
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hooks", self.address)
    }

    pub(crate) fn becomes(&self, temper: Temper) {
        *self.temper.lock().unwrap() = temper;
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }

    /// The ids of the events that came in, one for each call.
    pub(crate) fn ids(&self) -> Vec<String> {
        self.calls().iter().map(|call| call.headers["webhook-id"].clone()).collect()
    }

    /// Waits until so many calls have come in.
    pub(crate) async fn has(&self, calls: usize) {
        while self.calls.lock().unwrap().len() < calls {
            tokio::task::yield_now().await;
        }
    }

    pub(crate) fn at_once_most(&self) -> usize {
        self.at_once.lock().unwrap().1
    }
}

async fn serve(
    stream: TcpStream,
    temper: &Mutex<Temper>,
    calls: &Mutex<Vec<Call>>,
    at_once: &Mutex<(usize, usize)>,
) -> Option<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let call = read(&mut stream).await?;
        {
            let mut at_once = at_once.lock().unwrap();
            at_once.0 += 1;
            at_once.1 = at_once.1.max(at_once.0);
        }
        calls.lock().unwrap().push(call);
        let temper = temper.lock().unwrap().clone();
        let answered = answer(&mut stream, temper).await;
        at_once.lock().unwrap().0 -= 1;
        answered?;
    }
}

async fn read(stream: &mut BufReader<TcpStream>) -> Option<Call> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok().filter(|read| *read > 0)?;
    let line = line.trim_end().trim_end_matches(" HTTP/1.1").to_owned();
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(Call { line, headers, body: String::from_utf8(body).ok()? })
}

async fn answer(stream: &mut BufReader<TcpStream>, temper: Temper) -> Option<()> {
    match temper {
        Temper::Says(status, headers, body) => {
            let text = format!("HTTP/1.1 {status} So\r\ncontent-length: {}\r\n{headers}\r\n{body}", body.len());
            stream.write_all(text.as_bytes()).await.ok()
        }
        Temper::Waits(permits) => {
            permits.acquire().await.ok()?.forget();
            stream.write_all(b"HTTP/1.1 200 So\r\ncontent-length: 0\r\n\r\n").await.ok()
        }
        Temper::Hangs => std::future::pending().await,
        Temper::Drips => {
            stream.write_all(b"HTTP/1.1 200 So\r\ncontent-length: 100000\r\n\r\n").await.ok()?;
            loop {
                stream.write_all(b".").await.ok()?;
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        Temper::Floods => {
            stream.write_all(b"HTTP/1.1 200 So\r\ncontent-length: 1073741824\r\n\r\n").await.ok()?;
            let piece = vec![b'x'; 64 * 1024];
            for _ in 0..16 * 1024 {
                stream.write_all(&piece).await.ok()?;
            }
            None
        }
        Temper::Resets => None,
    }
}
