//! The seam between what happens in an account and a provider's words for it.
//!
//! An account, and what is done in it, is the same at every provider. A dialect turns what happened into the provider's
//! signed events and answers its API's look-ups.

use jiff::Timestamp;
use providers::{Delivery, Incoming, Level, Provider, Settings, redeem::OauthClient};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::{
    account::{Account, Event, Session},
    appsumo::AppSumo,
    generic::Generic,
    happening::Happening,
    lemonsqueezy::LemonSqueezy,
    paddle::Paddle,
    stripe::Stripe,
};

/// All dialects. One for another provider is a module and a word here.
pub(crate) static DIALECTS: &[&dyn Dialect] = &[&Stripe, &Paddle, &LemonSqueezy, &AppSumo, &Generic];

/// What has an id at a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Thing {
    Customer,
    Checkout,
    CheckoutLine,
    Subscription,
    SubscriptionItem,
    Invoice,
    InvoiceLine,
    InvoicePayment,
    Payment,
    Charge,
    Refund,
    Dispute,
    Event,
}

/// What is asked of the API: a path, and the query's pairs.
pub(crate) struct Question<'a> {
    pub(crate) path: &'a str,
    pub(crate) query: Vec<(String, String)>,
}

impl Question<'_> {
    /// A value of the query.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// A value of the query that is a number.
    pub(crate) fn number(&self, name: &str) -> Option<usize> {
        self.value(name)?.parse().ok()
    }
}

/// A call, with what is posted.
pub(crate) struct Call<'a> {
    pub(crate) question: Question<'a>,
    /// What is posted, in the form of a query.
    pub(crate) form: Vec<(String, String)>,
    /// Whom the provider knows.
    pub(crate) client: Option<&'a OauthClient>,
}

impl Call<'_> {
    /// A field of what is posted.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.form.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Whether it is the client that the provider knows.
    pub(crate) fn is_of_client(&self) -> bool {
        self.client.is_some_and(|client| {
            self.field("client_id") == Some(&client.id)
                && self.field("client_secret") == Some(client.secret.expose_secret())
        })
    }
}

/// What is answered.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

/// How a provider speaks.
pub(crate) trait Dialect: Sync {
    /// Its slug, by which the server knows it.
    fn slug(&self) -> &'static str;

    /// What its secrets begin with: of webhooks, and of the API.
    fn secret_prefixes(&self) -> (&'static str, &'static str);

    /// An id of its form. `number` is another one for every id, `random` as well.
    fn id(&self, thing: Thing, number: u64, random: [u8; 24]) -> String;

    /// The id of a plan's price. `place` is the plan's among all plans, from 0.
    fn price_id(&self, plan: &str, place: usize, monthly: bool) -> String;

    /// The id of a plan's product.
    fn product_id(&self, plan: &str, place: usize) -> String;

    /// The name by which the server knows a sale that began with this checkout.
    fn sale(&self, session: &Session) -> String {
        session.id.clone()
    }

    /// Whether its events say what was bought. If not, and nothing can be looked up, a checkout's metadata has to.
    fn tells_lines(&self) -> bool {
        true
    }

    /// The id of the price of a plan that is bought in addition to another. None: nothing is.
    fn addon_price_id(&self, plan: &str) -> Option<String> {
        let _ = plan;
        None
    }

    /// Whether everything is bought once there, and nothing by the month.
    fn sells_for_good(&self) -> bool {
        false
    }

    /// Whether it keeps everybody who buys, guests included, as a customer.
    fn keeps_buyers(&self) -> bool {
        true
    }

    /// Why a scenario or an option of `keywright simulate` is not possible there, as a sentence; none: it is.
    fn refuses(&self, wish: &str) -> Option<&'static str> {
        let _ = wish;
        None
    }

    /// The events that follow, as they are posted, in their order. None: nothing of the kind happens there.
    fn tell(&self, account: &mut Account, happening: &Happening, at: i64) -> Vec<Value>;

    /// Signs a body: the headers to send with it.
    fn sign(&self, secret: &SecretString, body: &[u8], now: Timestamp) -> Vec<(&'static str, String)>;

    /// Answers a look-up of somebody whose key is of this level.
    fn answer(&self, account: &Account, level: Level, question: &Question<'_>) -> Reply;

    /// Answers a call by which a buyer's code is traded for their sale: it needs no key. None: it is no such call.
    fn trade(&self, account: &mut Account, trade: &Call<'_>) -> Option<Reply> {
        let _ = (account, trade);
        None
    }

    /// Does what is posted to it. None: nothing of the kind is simulated.
    fn change(&self, account: &mut Account, call: &Call<'_>) -> Option<Reply> {
        let _ = (account, call);
        None
    }

    /// The refusal of a key that lacks the permission for this path.
    fn forbidden(&self, path: &str) -> Reply;

    /// Any other error, in its form.
    fn error(&self, status: u16, message: &str) -> Reply;
}

/// Why what only Stripe tells is not possible elsewhere.
pub(crate) fn only_at_stripe(wish: &str) -> Option<&'static str> {
    Some(match wish {
        "pause-collection" => "only Stripe lets the collecting stop and not the subscription; play `pause`",
        "out-of-band" | "manual-invoice" => "invoices that are paid or made by hand are played at Stripe only",
        "customer-changed" | "customer-deleted" => "customers that change or go are played at Stripe only",
        _ => return None,
    })
}

/// Why a scenario or an option is not possible at a provider, as a sentence; none: it is.
pub(crate) fn refusal(dialect: &dyn Dialect, wish: &str) -> Option<&'static str> {
    match wish {
        "addon" if dialect.addon_price_id("").is_none() => {
            Some("nothing is bought in addition there; add-ons are played at AppSumo")
        }
        "redeem" | "redeem-early" if module(dialect).redeem().is_none() => {
            Some("that provider sends no buyers here; they are played at AppSumo")
        }
        _ => dialect.refuses(wish),
    }
}

/// A moment, as most providers write it.
pub(crate) fn moment(second: i64) -> String {
    precise(second, 0)
}

/// So many microseconds after a moment.
pub(crate) fn precise(second: i64, micros: usize) -> String {
    let at = Timestamp::from_second(second).unwrap_or_default();
    format!("{}.{micros:06}Z", at.strftime("%Y-%m-%dT%H:%M:%S"))
}

/// A prefix and as many symbols as there are random bytes.
pub(crate) fn symbols(prefix: &str, alphabet: &[u8], random: [u8; 24]) -> String {
    prefix.chars().chain(random.map(|byte| char::from(alphabet[usize::from(byte) % alphabet.len()]))).collect()
}

/// The dialect of a provider.
pub(crate) fn by_slug(slug: &str) -> Option<&'static dyn Dialect> {
    DIALECTS.iter().copied().find(|dialect| dialect.slug() == slug)
}

/// The server's own module for the provider of a dialect.
pub(crate) fn module(dialect: &dyn Dialect) -> &'static dyn Provider {
    let module = providers::by_slug(dialect.slug());
    module.unwrap_or_else(|| unreachable!("every dialect is of a provider that the server has"))
}

/// An event as the server will know it once it is posted.
pub(crate) fn event(dialect: &dyn Dialect, body: &Value, now: Timestamp) -> Event {
    let body = body.to_string();
    let Incoming { key, kind, .. } = incoming(dialect, &body, now);
    Event { id: key, kind, body }
}

/// What the server's module reads of a body.
pub(crate) fn incoming(dialect: &dyn Dialect, body: &str, now: Timestamp) -> Incoming {
    let (module, secret) = (module(dialect), SecretString::from("for this moment"));
    let headers = dialect.sign(&secret, body.as_bytes(), now);
    let header = |asked: &str| headers.iter().find(|(name, _)| *name == asked).map(|(_, value)| value.as_str());
    let delivery = Delivery { header: &header, body: body.as_bytes() };
    let verified = module.verify(&delivery, &[secret], &Settings::default(), now);
    let verified = verified.unwrap_or_else(|reject| unreachable!("it is signed as the module has it: {reject}"));
    let incoming = module.incoming(&verified).ok().and_then(|all| all.into_iter().next());
    incoming.unwrap_or_else(|| unreachable!("an event of our making is of the provider's form: {body}"))
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
