//! What an account at the simulated provider holds: plain data, kept between commands.

use std::collections::BTreeMap;

use jiff::{Timestamp, ToSpan, tz::TimeZone};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

use super::dialect::{self, Dialect, Thing};

/// The one currency of this little world.
pub(crate) const CURRENCY: &str = "eur";

/// Everything that the provider knows. Ids are drawn from `seed`, so the same account does the same things.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Account {
    /// Whose account it is.
    provider: String,
    seed: [u8; 32],
    ids_made: u64,
    pub(crate) prices: BTreeMap<String, Price>,
    pub(crate) customers: BTreeMap<String, Customer>,
    pub(crate) sessions: BTreeMap<String, Session>,
    pub(crate) subscriptions: BTreeMap<String, Subscription>,
    pub(crate) invoices: BTreeMap<String, Invoice>,
    /// By payment intent; each has one charge.
    pub(crate) payments: BTreeMap<String, Payment>,
    pub(crate) refunds: BTreeMap<String, Refund>,
    /// By payment.
    #[serde(default)]
    pub(crate) disputes: BTreeMap<String, Dispute>,
    /// The sales, the latest last.
    pub(crate) sales: Vec<Sale>,
    /// Its id, where it is one that is connected to a platform: every event says it.
    #[serde(default)]
    connected: Option<String>,
    /// Checkouts that the server has opened, and nobody has paid.
    #[serde(default)]
    pub(crate) open_checkouts: BTreeMap<String, OpenCheckout>,
    /// What buyers may trade for the sight of a checkout, and those who have traded it.
    #[serde(skip)]
    codes: BTreeMap<String, String>,
    #[serde(skip)]
    tokens: BTreeMap<String, String>,
    /// The events, in the order in which they were made. The provider keeps them for a while.
    #[serde(default)]
    pub(crate) events: Vec<Event>,
}

/// What something costs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Price {
    pub(crate) id: String,
    pub(crate) product: String,
    pub(crate) name: String,
    pub(crate) unit_amount: i64,
    /// Paid every month, or once.
    pub(crate) monthly: bool,
}

/// Who buys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Buyer {
    pub(crate) email: String,
    pub(crate) name: String,
}

impl Buyer {
    /// The buyer of that address; the name is made of it.
    pub(crate) fn of(email: &str) -> Self {
        let local = email.split('@').next().unwrap_or_default();
        let words = local.split(['.', '_', '-', '+']).filter(|word| !word.is_empty());
        let capital = |word: &str| {
            let mut letters = word.chars();
            letters.next().map(|first| first.to_uppercase().chain(letters).collect::<String>()).unwrap_or_default()
        };
        Self { email: email.to_owned(), name: words.map(capital).collect::<Vec<_>>().join(" ") }
    }
}

/// A buyer whom the provider keeps.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Customer {
    pub(crate) id: String,
    pub(crate) buyer: Buyer,
    pub(crate) created: i64,
}

/// A line of a checkout, or an item of a subscription.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Item {
    pub(crate) id: String,
    pub(crate) price: String,
    pub(crate) quantity: u32,
}

/// How far the money of a checkout has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Paid {
    /// It is there.
    #[default]
    Yes,
    /// It is under way, or did not come.
    No,
    /// There is nothing to pay.
    NotRequired,
}

/// A checkout: a completed one, or one that nobody completed in time.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Session {
    pub(crate) id: String,
    pub(crate) created: i64,
    pub(crate) buyer: Buyer,
    pub(crate) customer: Option<String>,
    pub(crate) lines: Vec<Item>,
    /// What is due.
    pub(crate) total: i64,
    #[serde(default)]
    pub(crate) paid: Paid,
    /// It was left open until it was too late.
    #[serde(default)]
    pub(crate) is_expired: bool,
    pub(crate) payment: Option<String>,
    pub(crate) subscription: Option<String>,
    pub(crate) invoice: Option<String>,
    /// The plan that the vendor's code wrote into the metadata.
    pub(crate) plan: Option<String>,
    /// What whoever opened it has written into the metadata.
    #[serde(default)]
    pub(crate) metadata: BTreeMap<String, String>,
    /// The one that took its place, where a changed sale is another one.
    #[serde(default)]
    pub(crate) replaced_by: Option<String>,
    /// When its last event was made.
    #[serde(default)]
    pub(crate) told_at: i64,
}

/// A checkout that is open.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct OpenCheckout {
    /// Whom its form is filled in for.
    pub(crate) email: String,
    /// Prices, and how many of each.
    pub(crate) lines: Vec<(String, u32)>,
    /// What whoever opened it has written on it.
    pub(crate) metadata: BTreeMap<String, String>,
}

/// Where a subscription stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    Trialing,
    Active,
    PastDue,
    Paused,
    Canceled,
}

impl Status {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Trialing => "trialing",
            Self::Active => "active",
            Self::PastDue => "past_due",
            Self::Paused => "paused",
            Self::Canceled => "canceled",
        }
    }
}

/// A subscription, paid monthly and by itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Subscription {
    pub(crate) id: String,
    pub(crate) customer: String,
    pub(crate) created: i64,
    pub(crate) items: Vec<Item>,
    pub(crate) period_start: i64,
    pub(crate) period_end: i64,
    /// The end of the trial that it began with.
    #[serde(default)]
    pub(crate) trial_end: Option<i64>,
    pub(crate) status: Status,
    pub(crate) cancel_at_period_end: bool,
    pub(crate) canceled_at: Option<i64>,
    pub(crate) ended_at: Option<i64>,
    pub(crate) latest_invoice: String,
    /// Nothing is collected for it, although it goes on.
    #[serde(default)]
    pub(crate) is_uncollected: bool,
    /// When its last event was made. Two of one second have no order, and a person's clicks do.
    pub(crate) told_at: i64,
}

/// What an invoice is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Billing {
    /// The first month.
    Create,
    /// Another month.
    Cycle,
    /// A change in the middle of a month.
    Update,
    /// Whatever the vendor wrote on it.
    Manual,
}

impl Billing {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "subscription_create",
            Self::Cycle => "subscription_cycle",
            Self::Update => "subscription_update",
            Self::Manual => "manual",
        }
    }
}

/// A line of an invoice.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct InvoiceLine {
    pub(crate) id: String,
    pub(crate) item: Item,
    pub(crate) amount: i64,
    pub(crate) start: i64,
    pub(crate) end: i64,
    /// It corrects a period that was paid before, and pays none.
    pub(crate) proration: bool,
}

/// A subscription's bill.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Invoice {
    pub(crate) id: String,
    pub(crate) created: i64,
    pub(crate) subscription: String,
    pub(crate) customer: String,
    pub(crate) billing: Billing,
    pub(crate) lines: Vec<InvoiceLine>,
    pub(crate) total: i64,
    /// What paid it, if anything did.
    pub(crate) payment: Option<String>,
    /// It was paid by other means, of which the provider knows no more.
    #[serde(default)]
    pub(crate) is_paid_out_of_band: bool,
    /// The id of the object that links it with its payment.
    pub(crate) link: String,
}

impl Invoice {
    /// Whether nothing is owed of it. One of nothing is paid by itself, as that of a trial.
    pub(crate) const fn is_paid(&self) -> bool {
        self.payment.is_some() || self.is_paid_out_of_band || self.total == 0
    }
}

/// How far something that takes a while has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Progress {
    /// It is under way.
    Pending,
    /// It is done.
    #[default]
    Succeeded,
    /// It will not come to anything.
    Failed,
}

/// A payment intent with its charge.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Payment {
    pub(crate) intent: String,
    pub(crate) charge: String,
    pub(crate) created: i64,
    pub(crate) amount: i64,
    pub(crate) refunded: i64,
    #[serde(default)]
    pub(crate) progress: Progress,
    pub(crate) buyer: Buyer,
    pub(crate) customer: Option<String>,
}

/// Money that went back.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Refund {
    pub(crate) id: String,
    pub(crate) payment: String,
    pub(crate) amount: i64,
    pub(crate) created: i64,
    #[serde(default)]
    pub(crate) progress: Progress,
}

/// How far a dispute has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// The bank only asks; no money has moved.
    Inquiry,
    /// The money is held.
    Open,
    /// It came back.
    Won,
    /// The bank kept it.
    Lost,
}

/// What a buyer's bank says about a payment.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Dispute {
    pub(crate) id: String,
    pub(crate) payment: String,
    pub(crate) created: i64,
    pub(crate) outcome: Outcome,
}

/// A sale, as `--last` finds it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Sale {
    pub(crate) session: String,
    pub(crate) subscription: Option<String>,
    /// The events of its purchase, for sending them once more.
    pub(crate) events: Vec<Event>,
}

/// An event as it is posted, again and again the same bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Event {
    pub(crate) id: String,
    pub(crate) kind: String,
    pub(crate) body: String,
}

impl Account {
    /// An empty account at the provider of this dialect.
    pub(crate) fn new(dialect: &dyn Dialect, seed: [u8; 32]) -> Self {
        Self {
            provider: dialect.slug().to_owned(),
            seed,
            ids_made: 0,
            prices: BTreeMap::new(),
            customers: BTreeMap::new(),
            sessions: BTreeMap::new(),
            subscriptions: BTreeMap::new(),
            invoices: BTreeMap::new(),
            payments: BTreeMap::new(),
            refunds: BTreeMap::new(),
            disputes: BTreeMap::new(),
            sales: Vec::new(),
            connected: None,
            open_checkouts: BTreeMap::new(),
            codes: BTreeMap::new(),
            tokens: BTreeMap::new(),
            events: Vec::new(),
        }
    }

    /// The same, as one that is connected to a platform.
    pub(crate) fn of_platform(dialect: &dyn Dialect, seed: [u8; 32]) -> Self {
        let digits: String = seed.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        Self { connected: Some(format!("acct_{digits}")), ..Self::new(dialect, seed) }
    }

    /// Its id, where it is connected to a platform.
    pub(crate) fn connected(&self) -> Option<&str> {
        self.connected.as_deref()
    }

    /// How its provider speaks.
    pub(crate) fn dialect(&self) -> &'static dyn Dialect {
        dialect::by_slug(&self.provider).unwrap_or_else(|| unreachable!("an account is made with a dialect"))
    }

    /// A new id.
    pub(crate) fn id(&mut self, thing: Thing) -> String {
        let mut generator = ChaCha20Rng::from_seed(self.seed);
        generator.set_stream(self.ids_made);
        self.ids_made += 1;
        let mut random = [0; 24];
        generator.fill_bytes(&mut random);
        self.dialect().id(thing, self.ids_made, random)
    }

    /// What that many of a price cost.
    pub(crate) fn cost(&self, item: &Item) -> i64 {
        self.prices.get(&item.price).map_or(0, |price| price.unit_amount * i64::from(item.quantity))
    }

    /// What a checkout has become by now.
    pub(crate) fn current(&self, session: &str) -> Option<&Session> {
        let mut current = self.sessions.get(session)?;
        while let Some(next) = current.replaced_by.as_ref().and_then(|next| self.sessions.get(next)) {
            current = next;
        }
        Some(current)
    }

    /// Whether what a checkout was paid with went back.
    pub(crate) fn is_taken_back(&self, session: &Session) -> bool {
        let payment = session.payment.as_ref().and_then(|payment| self.payments.get(payment));
        payment.is_none_or(|payment| payment.refunded >= payment.amount)
    }

    /// A code with which the buyer of a checkout shows it to somebody. It is good once, and while this command runs.
    pub(crate) fn code_for(&mut self, session: &str) -> String {
        let code = self.id(Thing::Event);
        self.codes.insert(code.clone(), session.to_owned());
        code
    }

    /// What a code is traded for.
    pub(crate) fn token_for(&mut self, code: &str) -> Option<String> {
        let session = self.codes.remove(code)?;
        let token = self.id(Thing::Event);
        self.tokens.insert(token.clone(), session);
        Some(token)
    }

    /// What a token shows: the checkout as it is now, and whether it was taken back.
    pub(crate) fn shown_to(&self, token: &str) -> Option<(String, bool)> {
        let session = self.current(self.tokens.get(token)?)?;
        Some((session.id.clone(), self.is_taken_back(session)))
    }

    /// The invoice that a payment paid.
    pub(crate) fn invoice_of(&self, payment: &str) -> Option<&Invoice> {
        self.invoices.values().find(|invoice| invoice.payment.as_deref() == Some(payment))
    }

    /// What paid the last part of a sale: its subscription's latest paid invoice, or the checkout.
    pub(crate) fn last_payment(&self, sale: &Sale) -> Option<&Payment> {
        let subscription = sale.subscription.as_deref();
        let invoices = self.invoices.values().filter(|invoice| Some(invoice.subscription.as_str()) == subscription);
        // An invoice that corrects a running period is not what pays for it, nor is one that was made by hand.
        let pays = |billing| matches!(billing, Billing::Create | Billing::Cycle);
        let cycles = invoices.filter(|invoice| pays(invoice.billing) && invoice.payment.is_some());
        let latest = cycles.max_by_key(|invoice| invoice.lines.iter().map(|line| line.end).max());
        let of_invoice = latest.and_then(|invoice| invoice.payment.as_deref());
        let of_session = self.sessions.get(&sale.session).and_then(|session| session.payment.as_deref());
        self.payments.get(of_invoice.or(of_session)?)
    }
}

/// The same moment a month later, as the calendar has it.
pub(crate) fn month_after(second: i64) -> i64 {
    let at = Timestamp::from_second(second).unwrap_or_default();
    let later = at.to_zoned(TimeZone::UTC).checked_add(1.month());
    later.map_or(second, |later| later.timestamp().as_second())
}
