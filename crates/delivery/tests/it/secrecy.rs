//! A key is in the mail, and nowhere else: not in the database, not in a log.

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use delivery::Smtp;
use jiff::SignedDuration;
use secrecy::SecretString;
use store::testing::TestDatabase;
use tracing_subscriber::fmt::MakeWriter;

use crate::{
    receiver::{Receiver, Temper},
    relay::Relay,
    shop::Shop,
    transports::transport,
};

/// Everything that was logged, at every level, by every crate.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// All spellings in which a key could be written down.
fn spellings(key: &str) -> Vec<String> {
    let compact = key.replace('-', "");
    vec![key.to_owned(), key.to_lowercase(), compact.to_lowercase(), compact["ACME".len()..].to_owned(), compact]
}

fn contains(haystack: &[u8], needle: &str) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle.as_bytes())
}

#[tokio::test]
async fn keys_and_passwords_are_in_no_file_and_no_log() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(log.clone()).finish();
    let _ = tracing::subscriber::set_global_default(subscriber);

    let shop = Shop::open(TestDatabase::sqlite().await).await;
    let relay = Relay::start(&["quote", "hang", "refuse", "accept", "--user", "acme", "--password", "OpenSesame"]);
    let address = SecretString::from(format!("smtp://acme:OpenSesame@127.0.0.1:{}", relay.port));
    let mut settings = delivery::SmtpSettings::parse(&address, Some("keys@relay.test")).unwrap();
    settings.answer_timeout = Duration::from_millis(600);
    let worker = shop.worker(Some(Smtp::new(settings).unwrap()));
    shop.worker(None).turn().await.unwrap();
    let mut keys = Vec::new();
    for buyer in ["ada@example.com", "bob@example.com", "cleo@example.com", "dora@"] {
        keys.push(shop.sell(buyer).await.key);
        worker.turn().await.unwrap();
    }
    shop.clock.advance(SignedDuration::from_hours(1));
    worker.turn().await.unwrap();
    // Services quote, too: the key, the address and the token that they were called with.
    for (service, body) in
        [("postmark", r#"{"ErrorCode":300,"Message":"@"}"#), ("resend", r#"{"name":"x","message":"@"}"#)]
    {
        let sold = shop.sell("eve@example.com").await;
        let quoted = body.replace('@', &format!("eve@example.com {} OpenSesame", sold.key));
        let receiver = Receiver::start(Temper::Says(422, "", quoted.leak())).await;
        let address = format!("{service}://OpenSesame@");
        let transport = transport(&shop, &receiver, &address);
        shop.worker_with(Some(transport)).turn().await.unwrap();
        keys.push(sold.key);
    }
    let message = &relay.wait("accepted", 1).await[0];
    assert!(message["text"].as_str().unwrap().contains(&keys[1]), "the one that hung arrived");

    let mut files = 0;
    for entry in std::fs::read_dir(shop.database.folder.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        for spelling in keys.iter().flat_map(|key| spellings(key)) {
            assert!(!contains(&bytes, &spelling), "a key is in the database");
        }
        assert!(!contains(&bytes, "OpenSesame"), "a password is in the database");
        files += 1;
    }
    assert!(files >= 1, "there is a database");
    let logged = log.0.lock().unwrap();
    assert!(contains(&logged, "mail sent") && contains(&logged, "mail failed"), "the log is not empty");
    for spelling in keys.iter().flat_map(|key| spellings(key)).chain(["OpenSesame".to_owned()]) {
        assert!(!contains(&logged, &spelling), "a secret is in the log");
    }
    for address in ["ada@example", "bob@example", "cleo@example", "eve@example", "QWRhI"] {
        assert!(!contains(&logged, address), "an address is in the log");
    }
}
