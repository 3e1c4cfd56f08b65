//! A mail relay that takes everything and notes when: plain SMTP, nobody signs in, and nothing is sent on.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

/// Moments by the recipient's address.
type Moments = HashMap<String, Instant>;

/// A relay in this process.
pub(crate) struct Relay {
    pub(crate) address: SocketAddr,
    accepted: Arc<Mutex<Moments>>,
}

impl Relay {
    /// When the first mail for each recipient was accepted. While this is held, the relay waits.
    pub(crate) fn accepted(&self) -> MutexGuard<'_, Moments> {
        lock(&self.accepted)
    }
}

/// Serves in this process.
pub(crate) async fn serve() -> anyhow::Result<Relay> {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
    let address = listener.local_addr()?;
    let accepted = Arc::new(Mutex::default());
    let relay = Relay { address, accepted: Arc::clone(&accepted) };
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // A client that hangs up in the middle has its mail not accepted; that shows in the figures.
            tokio::spawn(converse(stream, Arc::clone(&accepted)));
        }
    });
    Ok(relay)
}

/// One connection, until the client leaves. Commands may come before the last one is answered.
async fn converse(stream: TcpStream, accepted: Arc<Mutex<Moments>>) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    let (mut line, mut recipients) = (Vec::new(), Vec::new());
    stream.write_all(b"220 bench\r\n").await?;
    loop {
        line.clear();
        if stream.read_until(b'\n', &mut line).await? == 0 {
            return Ok(());
        }
        let command = String::from_utf8_lossy(&line);
        let answer = match command.get(..4).unwrap_or_default().to_ascii_uppercase().as_str() {
            "EHLO" | "HELO" | "MAIL" | "RSET" => {
                recipients.clear();
                "250 bench\r\n"
            }
            "NOOP" => "250 bench\r\n",
            "RCPT" => match mailbox(&command) {
                Some(recipient) => {
                    recipients.push(recipient.to_owned());
                    "250 bench\r\n"
                }
                None => "501 no address\r\n",
            },
            "DATA" => {
                stream.write_all(b"354 go on\r\n").await?;
                if !skip_content(&mut stream).await? {
                    return Ok(());
                }
                note(&accepted, recipients.drain(..));
                "250 accepted\r\n"
            }
            "QUIT" => return stream.write_all(b"221 bye\r\n").await,
            _ => "502 not known here\r\n",
        };
        stream.write_all(answer.as_bytes()).await?;
    }
}

/// What stands between the angle brackets of `RCPT TO:<...>`.
fn mailbox(command: &str) -> Option<&str> {
    let (_, rest) = command.split_once('<')?;
    rest.split_once('>').map(|(address, _)| address)
}

/// Reads up to the line that is a single dot. False: the client left before.
async fn skip_content(stream: &mut BufReader<TcpStream>) -> std::io::Result<bool> {
    let (mut line, mut line_begins) = (Vec::new(), true);
    loop {
        line.clear();
        if stream.read_until(b'\n', &mut line).await? == 0 {
            return Ok(false);
        }
        if line_begins && line == b".\r\n" {
            return Ok(true);
        }
        // A line feed alone ends no line.
        line_begins = line.ends_with(b"\r\n");
    }
}

fn note(accepted: &Mutex<Moments>, recipients: impl Iterator<Item = String>) {
    let now = Instant::now();
    let mut accepted = lock(accepted);
    for recipient in recipients {
        accepted.entry(recipient).or_insert(now);
    }
}

fn lock(accepted: &Mutex<Moments>) -> MutexGuard<'_, Moments> {
    // A panic while it was held cannot have left a map half written.
    accepted.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test]
    async fn mails_are_accepted_at_their_single_dot_also_when_all_is_sent_at_once() {
        let relay = serve().await.unwrap();
        let mut stream = TcpStream::connect(relay.address).await.unwrap();
        let sent = "EHLO me\r\nmail FROM:<k@acme.test>\r\nRCPT TO:<lost@example.com>\r\nRSET\r\nRCPT TO\r\n\
                    MAIL FROM:<k@acme.test> BODY=8BITMIME\r\nRCPT TO:<a@example.com>\r\nRCPT TO:<b@example.com>\r\n\
                    DATA\r\n..\r\nx\n.\r\nQUIT\r\n.\r\nNOOP\r\nAUTH PLAIN\r\nQUIT\r\n";
        stream.write_all(sent.as_bytes()).await.unwrap();
        let mut answers = String::new();
        stream.read_to_string(&mut answers).await.unwrap();
        let codes: Vec<&str> = answers.lines().map(|line| &line[..3]).collect();
        let expected = "220 250 250 250 250 501 250 250 250 354 250 250 502 221";
        assert_eq!(codes.join(" "), expected);
        let mut recipients: Vec<String> = relay.accepted().keys().cloned().collect();
        recipients.sort_unstable();
        assert_eq!(recipients, ["a@example.com", "b@example.com"]);
    }
}
