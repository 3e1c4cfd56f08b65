//! Which calls the API answered, for whoever writes against it. Nobody waits for this and nothing depends on it: a call is put
//! into a queue of bounded length, and a worker writes what has gathered there. What does not fit is counted and left out.

use std::{
    collections::{HashMap, VecDeque},
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
};

use domain::{
    id::{ApiKeyId, RequestId, TenantId},
    time::after,
};
use jiff::{SignedDuration, Timestamp};
use store::rows::ApiRequest;

use crate::{Engine, Error};

/// Days for which a call is kept.
pub const KEPT_DAYS: i64 = 7;
/// Calls of a vendor that are kept at most; the oldest go first.
pub const ROWS_MAX: u64 = 50_000;
/// Calls of apps that may not run, and calls with keys that open nothing, of which a vendor's log takes so many a minute:
/// strangers can make them, too.
pub const STRANGERS_A_MINUTE: u32 = 60;
/// Calls that may wait to be written.
const QUEUE_MAX: usize = 8_192;
/// Calls that are written in one transaction.
const BATCH_MAX: usize = 1_024;
/// Calls of a vendor after which it is looked whether there are too many.
const TRIMMED_EVERY: u64 = 4_096;
/// Calls that are forgotten in one transaction.
const PAGE: u64 = 500;
/// The longest sentence of a refusal that is kept, in characters.
const DETAIL_MAX: usize = 500;

/// Whose call it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Caller {
    /// The vendor; none: it is not known.
    pub tenant: Option<TenantId>,
    /// The mode; none: it is not known.
    pub livemode: Option<bool>,
    /// The API key that came with it.
    pub api_key: Option<ApiKeyId>,
    /// Whether the key opened. Calls of others are logged up to [`STRANGERS_A_MINUTE`].
    pub is_known: bool,
}

/// A call that was answered. It has no body, and neither has its answer: keys and secrets stand there.
#[derive(Clone, Debug)]
pub struct Answered {
    /// Its id, as its answer names it.
    pub id: RequestId,
    /// Whose it is.
    pub caller: Caller,
    /// The method.
    pub method: String,
    /// The route, with the names of its parts: `/v1/licenses/{id}`.
    pub route: String,
    /// The id in its address.
    pub subject: Option<String>,
    /// The status of the answer.
    pub status: u16,
    /// The code of a refusal or of a verdict.
    pub code: Option<String>,
    /// What the refusal said.
    pub detail: Option<String>,
    /// Where it came from.
    pub address: Option<IpAddr>,
    /// When it came.
    pub received_at: Timestamp,
    /// How long its answer took.
    pub took: SignedDuration,
}

/// Why a call is not in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LeftOut {
    /// Strangers made more calls in this minute.
    TooMany,
    /// The database does not keep up.
    Full,
    /// The database refuses this one, and would again.
    Refused,
}

impl LeftOut {
    const fn as_str(self) -> &'static str {
        match self {
            Self::TooMany => "too_many",
            Self::Full => "queue_full",
            Self::Refused => "refused",
        }
    }
}

/// What waits to be written, and what was counted meanwhile.
#[derive(Default)]
struct Waiting {
    queue: VecDeque<Answered>,
    /// By vendor: the minute, and the calls of strangers in it.
    strangers: HashMap<Option<TenantId>, (i64, u32)>,
    /// By vendor: calls written since it was looked whether there are too many.
    written: HashMap<TenantId, u64>,
}

impl Waiting {
    fn take_in(&mut self, call: Answered) -> Result<(), LeftOut> {
        if self.queue.len() >= QUEUE_MAX {
            return Err(LeftOut::Full);
        }
        if !call.caller.is_known {
            let minute = call.received_at.as_second().div_euclid(60);
            let (of, count) = self.strangers.entry(call.caller.tenant).or_insert((minute, 0));
            if *of != minute {
                (*of, *count) = (minute, 0);
            }
            *count += 1;
            if *count > STRANGERS_A_MINUTE {
                return Err(LeftOut::TooMany);
            }
        }
        self.queue.push_back(call);
        Ok(())
    }

    /// Notes what was written. Returns the vendors who may have too many.
    fn note_written(&mut self, rows: &[ApiRequest]) -> Vec<TenantId> {
        for row in rows {
            *self.written.entry(TenantId(row.tenant_id)).or_default() += 1;
        }
        let due = self.written.extract_if(|_, count| *count >= TRIMMED_EVERY);
        due.map(|(tenant, _)| tenant).collect()
    }
}

/// The calls of this process that are not written yet.
#[derive(Default)]
pub(crate) struct Requests(Mutex<Waiting>);

impl Requests {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The row of a call whose vendor is known.
fn row(call: &Answered, tenant: TenantId) -> ApiRequest {
    ApiRequest {
        id: call.id.0,
        tenant_id: tenant.0,
        livemode: call.caller.livemode,
        api_key_id: call.caller.api_key.map(|id| id.0),
        method: plain(&call.method),
        route: plain(&call.route),
        subject: call.subject.as_deref().map(plain),
        status: i32::from(call.status),
        code: call.code.as_deref().map(plain),
        detail: call.detail.as_deref().map(discreet),
        address: call.address.map(|address| address.to_string()),
        received_at: call.received_at.as_microsecond(),
        duration_micros: i64::try_from(call.took.as_micros()).unwrap_or(i64::MAX),
    }
}

/// A text without what no log needs: a caller chooses names in it, and PostgreSQL refuses a row with a NUL.
fn plain(text: &str) -> String {
    text.chars().map(|symbol| if symbol.is_control() { char::REPLACEMENT_CHARACTER } else { symbol }).collect()
}

/// What a refusal said without what the call said: values in quotes go, and of what stands as code whatever may be an address,
/// a key or a secret.
fn discreet(text: &str) -> String {
    alternate(&unquoted(&plain(text)), '`', is_word).chars().take(DETAIL_MAX).collect()
}

/// All from the first quote to the last goes: a value may have quotes of its own, and nobody knows how they are marked.
fn unquoted(text: &str) -> String {
    let Some((before, rest)) = text.split_once('"') else { return text.to_owned() };
    let behind = rest.rsplit_once('"').map(|(_, behind)| behind).unwrap_or_default();
    format!("{before}\"…\"{behind}")
}

/// Every second piece between two marks is kept only if it may be.
fn alternate(text: &str, mark: char, may_be_kept: impl Fn(&str) -> bool) -> String {
    let pieces = text.split(mark).enumerate();
    let pieces = pieces.map(|(index, piece)| if index % 2 == 0 || may_be_kept(piece) { piece } else { "…" });
    pieces.collect::<Vec<_>>().join(&mark.to_string())
}

/// Whether it is a name of ours, an id or a code of the catalogue, and neither an address, a license key nor a secret.
fn is_word(text: &str) -> bool {
    const SECRET_FROM: usize = 20;
    const GROUP: usize = 4;
    const GROUPS_OF_KEY: usize = 3;
    let is_id = text.split_once('_').is_some_and(|(prefix, rest)| prefix.len() <= 5 && rest.len() == 26);
    let runs = || text.split(|symbol: char| !symbol.is_alphanumeric());
    let is_long = runs().any(|run| run.len() >= SECRET_FROM);
    // Keys are groups of letters and digits, ours as well as those that providers give out.
    let has_digit = text.bytes().any(|byte| byte.is_ascii_digit());
    let is_key = has_digit && runs().filter(|run| run.len() >= GROUP).count() >= GROUPS_OF_KEY;
    is_id || !(text.contains('@') || is_long || is_key)
}

impl Engine {
    /// Notes a call that was answered. It never waits: where the log is full the call is left out, and counted.
    pub fn note_request(&self, call: Answered) {
        let noted = self.requests.lock().take_in(call);
        if let Err(left_out) = noted {
            self.metrics.request_left_out(left_out.as_str());
        }
    }

    /// Writes the calls that were answered. Returns whether there are more. While the database is away they wait, as far as
    /// they fit; one that it refuses is left out, and holds up no other.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn write_requests(&self) -> Result<bool, Error> {
        let (calls, is_more) = {
            let mut waiting = self.requests.lock();
            let count = waiting.queue.len().min(BATCH_MAX);
            (waiting.queue.drain(..count).collect::<Vec<_>>(), waiting.queue.len() >= BATCH_MAX / 2)
        };
        if calls.is_empty() {
            return Ok(false);
        }
        let written = match self.write_calls(&calls).await {
            Err(error) if error.is_refusal() => self.write_one_by_one(&calls).await,
            written => written,
        };
        match written {
            Ok(rows) => {
                self.metrics.requests_logged(rows.len() as u64);
                let due = self.requests.lock().note_written(&rows);
                for tenant in due {
                    self.trim_requests(tenant).await?;
                }
                Ok(is_more)
            }
            Err(error) => {
                let mut waiting = self.requests.lock();
                for call in calls.into_iter().rev().take(QUEUE_MAX.saturating_sub(waiting.queue.len())) {
                    waiting.queue.push_front(call);
                }
                Err(error)
            }
        }
    }

    /// Writes each call by itself, and leaves out those that are refused. What was written before an error is kept once,
    /// though it is written again.
    async fn write_one_by_one(&self, calls: &[Answered]) -> Result<Vec<ApiRequest>, Error> {
        let mut rows = Vec::new();
        for call in calls {
            match self.write_calls(std::slice::from_ref(call)).await {
                Err(error) if error.is_refusal() => {
                    tracing::warn!(request = %call.id, %error, "the request log leaves out a call that the database refuses");
                    self.metrics.request_left_out(LeftOut::Refused.as_str());
                }
                written => rows.extend(written?),
            }
        }
        Ok(rows)
    }

    async fn write_calls(&self, calls: &[Answered]) -> Result<Vec<ApiRequest>, Error> {
        // An app that is told apart by nothing is the only vendor's, if there is only one.
        let only = match calls.iter().all(|call| call.caller.tenant.is_some()) {
            true => None,
            false => match self.store.tenants().await?.as_slice() {
                [row] => Some(TenantId(row.id)),
                _ => None,
            },
        };
        let rows: Vec<_> = calls.iter().filter_map(|call| Some(row(call, call.caller.tenant.or(only)?))).collect();
        let once = || async {
            let write = self.store.begin().await?;
            write.add_requests(rows.clone()).await?;
            Ok::<_, Error>(write.commit().await?)
        };
        store::repeat(once, Error::is_conflict).await?;
        Ok(rows)
    }

    /// Forgets the oldest calls of a vendor that has more than are kept.
    async fn trim_requests(&self, tenant: TenantId) -> Result<u64, Error> {
        self.forget_requests(|write| async move {
            let count = write.forget_requests_beyond(tenant, ROWS_MAX, PAGE).await?;
            Ok((write, count))
        })
        .await
    }

    /// Forgets the calls of a vendor that were kept long enough. Returns how many.
    pub(crate) async fn forget_old_requests(&self, tenant: TenantId) -> Result<u64, Error> {
        let before = after(self.now(), -SignedDuration::from_hours(24 * KEPT_DAYS));
        let old = self.forget_requests(|write| async move {
            let count = write.forget_requests(tenant, before, PAGE).await?;
            Ok((write, count))
        });
        Ok(old.await? + self.trim_requests(tenant).await?)
    }

    /// Forgets a page after the other.
    async fn forget_requests<Forgetting>(&self, page: impl Fn(store::Write) -> Forgetting) -> Result<u64, Error>
    where
        Forgetting: Future<Output = Result<(store::Write, u64), Error>>,
    {
        let once = || async {
            let (write, count) = page(self.store.begin().await?).await?;
            write.commit().await?;
            Ok::<_, Error>(count)
        };
        let mut forgotten = 0;
        loop {
            let count = store::repeat(once, Error::is_conflict).await?;
            forgotten += count;
            if count < PAGE {
                return Ok(forgotten);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(number: u128, second: i64, is_known: bool) -> Answered {
        Answered {
            id: RequestId(uuid::Uuid::from_u128(number)),
            caller: Caller { is_known, ..Caller::default() },
            method: "GET".to_owned(),
            route: "/v1/licenses".to_owned(),
            subject: None,
            status: 200,
            code: None,
            detail: None,
            address: None,
            received_at: Timestamp::from_second(second).unwrap(),
            took: SignedDuration::ZERO,
        }
    }

    #[test]
    fn strangers_fill_no_log() {
        let mut waiting = Waiting::default();
        for number in 0..STRANGERS_A_MINUTE {
            assert_eq!(waiting.take_in(call(number.into(), 60, false)), Ok(()), "{number}");
        }
        assert_eq!(waiting.take_in(call(100, 119, false)), Err(LeftOut::TooMany));
        assert_eq!(waiting.take_in(call(101, 119, true)), Ok(()), "who has a key is no stranger");
        assert_eq!(waiting.take_in(call(102, 120, false)), Ok(()), "another minute");
    }

    #[test]
    fn a_full_queue_takes_nothing_more() {
        let mut waiting = Waiting::default();
        for number in 0..QUEUE_MAX {
            assert_eq!(waiting.take_in(call(number as u128, 0, true)), Ok(()));
        }
        assert_eq!(waiting.take_in(call(u128::MAX, 0, true)), Err(LeftOut::Full));
    }

    #[test]
    fn refusals_are_kept_without_what_the_call_said() {
        for (said, kept) in [
            (
                "The API key `shop` lacks the scope `license:read`.",
                "The API key `shop` lacks the scope `license:read`.",
            ),
            ("There is no plan with the code `nope`.", "There is no plan with the code `nope`."),
            (
                "invalid type: string \"ACME-7F3K\", expected struct Device",
                "invalid type: string \"…\", expected struct Device",
            ),
            ("`ada@example.com` is taken", "`…` is taken"),
            ("`ACME-7F3K-9XYM-4N2A-Q7C9` is not an id", "`…` is not an id"),
            ("There is no `lic_01m8asx31fedtvx6qycxm4nm45` that", "There is no `lic_01m8asx31fedtvx6qycxm4nm45` that"),
            ("`whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw` is known", "`…` is known"),
            ("`kw_live_01m8asx31fedtvx6qycxm4nm45_abcdef` opens", "`…` opens"),
            (r#"invalid value: string "a\"SECRET\"b", expected it"#, r#"invalid value: string "…", expected it"#),
            ("string \"SECRET", "string \"…\""),
            ("unknown field `\0\n`, expected `key`", "unknown field `\u{fffd}\u{fffd}`, expected `key`"),
        ] {
            assert_eq!(discreet(said), kept);
        }
        assert_eq!(discreet(&"é".repeat(2 * DETAIL_MAX)).chars().count(), DETAIL_MAX);
    }
}
