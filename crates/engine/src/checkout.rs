//! A vendor's own checkout: a hosted page at the provider, opened for one buyer and one plan (D02 to D10).

use std::{collections::BTreeMap, sync::Arc};

use domain::{
    id::{PlanId, ProductId, TenantId, uuid_v7},
    plan::PlanPrice,
    text::{EmailAddress, PlanCode, PriceReference},
};
use jiff::{SignedDuration, Timestamp};
use providers::{
    http::is_refusal,
    selling::{NewCheckout, Refused, Selling},
};
use store::rows;

use crate::{
    DialError, Engine, Error,
    connections::Connection,
    issue::IssueError,
    prices::{PriceStanding, price_of, rank, sells},
};

/// Checkouts that an account opens in a minute, whenever it begins (D10).
pub const CHECKOUTS_PER_MINUTE: usize = 20;
/// That minute.
const WINDOW: SignedDuration = SignedDuration::from_mins(1);
/// A platform's share, unless it says otherwise: half a percent (D07).
const FEE_TEN_THOUSANDTHS: u16 = 50;
/// The longest address that a provider takes, in bytes.
const URL_BYTES_MAX: usize = 2_048;

/// A checkout that is asked for.
#[derive(Clone, Debug)]
pub struct CheckoutRequest {
    /// Whose plan it is.
    pub tenant: TenantId,
    /// Whether real money is paid: at live connections, or at those where things are tried out.
    pub livemode: bool,
    /// The product, by code or id.
    pub product: String,
    /// The plan, by code or id.
    pub plan: String,
    /// Where the buyer goes who has paid.
    pub success_url: String,
    /// Where the buyer goes who has not.
    pub cancel_url: String,
    /// What the form is filled in with.
    pub email: Option<EmailAddress>,
    /// The same when the call has to be made again. None: it is a call of its own.
    pub attempt: Option<uuid::Uuid>,
}

/// Why no checkout was opened.
#[derive(Debug, thiserror::Error)]
pub enum CheckoutError {
    /// There is none of that name.
    #[error("there is no {what} `{name}`{hint}")]
    Unknown {
        /// A product or a plan.
        what: &'static str,
        /// What was asked for.
        name: String,
        /// Which there are.
        hint: String,
    },
    /// A buyer cannot be sent there.
    #[error("`{field}`: {problem}")]
    Url {
        /// Which address.
        field: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The account gets no new licenses (D05).
    #[error(transparent)]
    Account(#[from] IssueError),
    /// Nothing can be sold (D30).
    #[error("the account is not connected to Stripe; reconnect via Connect: {0}")]
    NotConnected(String),
    /// The plan says no price (D31).
    #[error(
        "the plan `{0}` has no Stripe price; set `price` on it, in the file of `keywright apply` or with POST /v1/plans"
    )]
    NoPrice(String),
    /// The provider has not made the price.
    #[error("the price of the plan `{plan}` was not made at Stripe: {problem}")]
    PriceRefused {
        /// Which plan.
        plan: String,
        /// What the provider says.
        problem: String,
    },
    /// The price was set a moment ago.
    #[error("the price of the plan `{0}` is being made at Stripe; ask again in a moment")]
    PriceNotYet(String),
    /// The price was tried to be made, and is tried again.
    #[error("the price of the plan `{plan}` is not made at Stripe yet: {problem}; it is tried again by itself")]
    PriceWaits {
        /// Which plan.
        plan: String,
        /// What it waits for, and what to do about it.
        problem: String,
        /// When it is tried again.
        seconds: u64,
    },
    /// More than the account may open (D10).
    #[error("the account opens {CHECKOUTS_PER_MINUTE} checkouts a minute at most")]
    TooMany {
        /// How long to wait.
        seconds: u64,
    },
    /// The provider does not open it.
    #[error("Stripe opened no checkout: {0}")]
    Refused(#[from] Refused),
    /// The provider cannot be asked.
    #[error("Stripe cannot be reached: {0}")]
    Dial(#[from] DialError),
    /// Something else.
    #[error(transparent)]
    Engine(#[from] Error),
}

impl From<store::StoreError> for CheckoutError {
    fn from(error: store::StoreError) -> Self {
        Self::Engine(error.into())
    }
}

/// What is to be sold.
struct Sold {
    product: String,
    plan: PlanId,
    code: PlanCode,
    price: Option<PlanPrice>,
}

impl Engine {
    /// Opens a checkout and returns where its buyer is sent.
    ///
    /// # Errors
    /// [`CheckoutError`]; nothing was opened then.
    pub async fn open_checkout(&self, asked: &CheckoutRequest) -> Result<String, CheckoutError> {
        let sold = self.sold(asked).await?;
        let is_live = asked.livemode;
        let connection = self.selling_connection(asked.tenant, is_live).await?;
        check_url("success_url", &asked.success_url, is_live)?;
        check_url("cancel_url", &asked.cancel_url, is_live)?;
        self.check_account(asked.tenant, is_live, 1).await?;
        let Some(connection) = connection else {
            return Err(CheckoutError::NotConnected(self.no_account(asked.tenant, is_live).await?));
        };
        let selling = sells(&connection).ok_or_else(|| CheckoutError::NotConnected(why_not(&connection)))?;
        let price = sold.price.ok_or_else(|| CheckoutError::NoPrice(sold.code.to_string()))?;
        let reference = self.made_price(&connection, &sold, &price).await?;
        self.count_checkout(asked.tenant, self.now()).await?;
        let attempt = asked.attempt.unwrap_or_else(|| uuid_v7(self.now(), &mut *self.entropy())).to_string();
        let new = NewCheckout {
            product: &sold.product,
            plan: &sold.code,
            reference: &reference,
            price: &price,
            success_url: &asked.success_url,
            cancel_url: &asked.cancel_url,
            email: asked.email.as_ref(),
            fee_ten_thousandths: fee(&connection),
            attempt: &attempt,
        };
        self.open(&connection, selling, (asked, &new)).await
    }

    async fn open(
        &self,
        connection: &Connection,
        selling: &dyn Selling,
        (asked, new): (&CheckoutRequest, &NewCheckout<'_>),
    ) -> Result<String, CheckoutError> {
        let dialled = self.dialler.dial(connection, &selling.create_checkout(new)).await?;
        if let Some(attempt) = asked.attempt.filter(|_| is_refusal(dialled.status)) {
            // Under the same name it would be refused for as long as the provider keeps its answer.
            self.store.forget_call(asked.tenant, attempt).await?;
        }
        Ok(selling.checkout_created(dialled.status, &dialled.body)?)
    }

    /// The product and the plan that a call names, by code or id.
    async fn sold(&self, asked: &CheckoutRequest) -> Result<Sold, CheckoutError> {
        let products = self.store.products(asked.tenant).await?;
        let id: Option<ProductId> = asked.product.parse().ok();
        let is_named = |row: &&rows::Product| row.code == asked.product || id.is_some_and(|id| id.0 == row.id);
        let codes = || products.iter().map(|row| row.code.as_str());
        let unknown = |what, name: &str, hint| CheckoutError::Unknown { what, name: name.to_owned(), hint };
        let product = products.iter().find(is_named);
        let product = product.ok_or_else(|| unknown("product", &asked.product, known(codes())))?;
        let mut plans = self.store.plans(asked.tenant).await?;
        plans.retain(|row| row.product_id == product.id);
        let id: Option<PlanId> = asked.plan.parse().ok();
        let is_named = |row: &&rows::Plan| row.code == asked.plan || id.is_some_and(|id| id.0 == row.id);
        // Rows come in the order of their versions, and the latest is sold.
        let plan = plans.iter().rfind(is_named);
        let codes = || plans.iter().map(|row| row.code.as_str());
        let plan = plan.ok_or_else(|| unknown("plan", &asked.plan, known(codes())))?;
        Ok(Sold {
            product: product.code.clone(),
            plan: PlanId(plan.id),
            code: PlanCode::new(plan.code.as_str()),
            price: price_of(plan),
        })
    }

    /// The connection that sells, for real money or where things are tried out, as [`rank`] says.
    async fn selling_connection(&self, tenant: TenantId, is_live: bool) -> Result<Option<Arc<Connection>>, Error> {
        let connections = self.connections().await?;
        let sells =
            |connection: &&Arc<Connection>| is_shop_of(tenant, connection) && connection.mode.is_live() == is_live;
        let rank = |connection: &&Arc<Connection>| rank(&connection.settings);
        Ok(connections.iter().filter(sells).min_by_key(rank).map(Arc::clone))
    }

    /// Whether a connection is the one by which a tenant's plans are sold, or would be, once it is there.
    pub(crate) async fn is_seller(&self, connection: &Connection) -> Result<bool, Error> {
        let tenant = connection.tenant;
        if !is_shop_of(tenant, connection) {
            return Ok(false);
        }
        let plans = self.store.plans(tenant).await?;
        // Rows come in the order of their versions, and the latest is sold.
        let latest: BTreeMap<_, _> = plans.iter().map(|row| (row.id, row)).collect();
        if !latest.values().any(|row| price_of(row).is_some()) {
            return Ok(false);
        }
        let seller = self.selling_connection(tenant, connection.mode.is_live()).await?;
        Ok(seller.is_none_or(|seller| seller.code == connection.code))
    }

    /// Whether buyers pay real money for the plans of a tenant by checkouts: a plan's price is what they pay then.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn sells_live(&self, tenant: TenantId) -> Result<bool, Error> {
        let connections = self.connections_within(SignedDuration::ZERO).await?;
        let is_live = |connection: &Arc<Connection>| connection.mode.is_live() && !connection.settings.disconnected;
        Ok(connections.iter().any(|connection| is_shop_of(tenant, connection) && is_live(connection)))
    }

    /// What the provider calls the price of a plan.
    async fn made_price(
        &self,
        connection: &Connection,
        sold: &Sold,
        price: &PlanPrice,
    ) -> Result<PriceReference, CheckoutError> {
        let is_it = |row: &&rows::PlanPrice| {
            (row.plan_id, row.connection_id, row.retired_at) == (sold.plan.0, connection.id.0, None)
                && serde_json::from_str::<PlanPrice>(&row.price).is_ok_and(|made| made == *price)
        };
        let rows = self.store.plan_prices(connection.tenant).await?;
        let Some(row) = rows.iter().find(is_it) else {
            return Err(CheckoutError::PriceNotYet(sold.code.to_string()));
        };
        let plan = sold.code.to_string();
        Err(match self.standing_of(row).await? {
            PriceStanding::Made(reference) => return Ok(reference),
            PriceStanding::Waits { problem: None, .. } => CheckoutError::PriceNotYet(plan),
            PriceStanding::Waits { problem: Some(problem), again_at } => {
                let millis = again_at.duration_since(self.now()).as_millis().max(1).unsigned_abs();
                let seconds = u64::try_from(millis.div_ceil(1_000)).unwrap_or(u64::MAX);
                CheckoutError::PriceWaits { plan, problem, seconds }
            }
            PriceStanding::Refused(problem) => CheckoutError::PriceRefused { plan, problem },
        })
    }

    /// Counts a checkout in the database, so that all nodes count the same (D10). One that is refused counts for nothing.
    async fn count_checkout(&self, tenant: TenantId, now: Timestamp) -> Result<(), CheckoutError> {
        let once = || async {
            let write = self.store.begin().await?;
            let opened = counted(&write.checkout_window(tenant).await?, now);
            if let Ok(opened) = &opened {
                write.save_checkout_window(tenant, opened).await?;
                write.commit().await?;
            }
            Ok::<_, Error>(opened)
        };
        let counted = store::repeat(once, Error::is_conflict).await?;
        counted.map(drop).map_err(|seconds| CheckoutError::TooMany { seconds })
    }

    /// What a vendor does who has nothing to sell by.
    async fn no_account(&self, tenant: TenantId, is_live: bool) -> Result<String, Error> {
        let connections = self.connections().await?;
        let is_awaited = |connection: &&Arc<Connection>| {
            let is_of_mode = connection.mode.is_live() == is_live;
            connection.tenant == tenant && is_of_mode && connection.settings.account_awaited
        };
        Ok(match connections.iter().find(is_awaited) {
            Some(connection) => format!(
                "the account of the connection `{code}` is not made yet; POST /v1/connect with the code `{code}` goes on",
                code = connection.code
            ),
            None => no_account(is_live),
        })
    }
}

/// Counts a checkout that is opened now among those that were opened in the minute before: the moments of all of them, as
/// they are kept, or in how many seconds there is room for it. What another node's clock says is yet to come counts, too.
fn counted(kept: &str, now: Timestamp) -> Result<String, u64> {
    let (now, window) = (now.as_microsecond(), i64::try_from(WINDOW.as_micros()).unwrap_or(i64::MAX));
    let mut opened: Vec<i64> = kept.split(' ').filter_map(|moment| moment.parse().ok()).collect();
    opened.retain(|moment| *moment > now - window);
    opened.sort_unstable();
    if let Some(oldest) = opened.len().checked_sub(CHECKOUTS_PER_MINUTE).and_then(|surplus| opened.get(surplus)) {
        let micros = (oldest + window - now).clamp(1, window);
        return Err(micros.unsigned_abs().div_ceil(1_000_000));
    }
    opened.push(now);
    Ok(opened.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
}

/// Whether a connection is one by which a tenant sells, or did until it was disconnected.
fn is_shop_of(tenant: TenantId, connection: &Connection) -> bool {
    let settings = &connection.settings;
    let has_key = settings.account.is_some() || connection.api_key.is_some();
    connection.tenant == tenant && connection.provider.selling().is_some() && has_key && !settings.platform
}

/// The platform's share of what is sold by a connection. A vendor's own key has no platform.
fn fee(connection: &Connection) -> Option<u16> {
    let settings = &connection.settings;
    settings.account.as_ref().map(|_| settings.fee_ten_thousandths.unwrap_or(FEE_TEN_THOUSANDTHS))
}

/// What a vendor does who has nothing to sell by.
fn no_account(is_live: bool) -> String {
    let (mode, other) = match is_live {
        true => ("live", "a checkout key of test mode tries things out at a test connection"),
        false => ("test", "this checkout key is one of test mode"),
    };
    format!(
        "there is no {mode} one; POST /v1/connect with a {mode} key makes one and says where it is filled in, or give a {mode} \
         connection an API key of your own; {other}"
    )
}

/// Why nothing is sold by a connection, and what to do about it.
fn why_not(connection: &Connection) -> String {
    match connection.settings.disconnected {
        true => format!(
            "its account was disconnected; POST /v1/connect with the code `{}` takes it up again, or give a connection an API \
             key of your own",
            connection.code
        ),
        false => "this server is no platform; the operator sets STRIPE_SECRET_KEY and STRIPE_CONNECT_WEBHOOK_SECRET"
            .to_owned(),
    }
}

/// The names that a caller may have meant.
fn known<'a>(codes: impl Iterator<Item = &'a str>) -> String {
    let codes: std::collections::BTreeSet<&str> = codes.collect();
    match codes.is_empty() {
        true => "; there is none yet".to_owned(),
        false => format!("; there are `{}`", codes.into_iter().collect::<Vec<_>>().join("`, `")),
    }
}

/// Whether buyers may be sent there: an absolute https address, or one of this machine while money is only tried out. It is
/// handed on as it is, since it may have the provider's own placeholders in it.
fn check_url(field: &'static str, text: &str, is_live: bool) -> Result<(), CheckoutError> {
    match wrong_with_url(text, is_live) {
        Some(problem) => Err(CheckoutError::Url { field, problem }),
        None => Ok(()),
    }
}

/// What is wrong with an address to which somebody is to be sent.
pub(crate) fn wrong_with_url(text: &str, is_live: bool) -> Option<&'static str> {
    if text.len() > URL_BYTES_MAX || text.chars().any(|letter| letter.is_control() || letter.is_whitespace()) {
        return Some("an address has 2048 characters at most and no blanks");
    }
    let Ok(url) = url::Url::parse(text) else {
        return Some("an absolute address is needed, such as https://example.com/thanks");
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Some("an address that buyers see has no password in it");
    }
    let is_loopback = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    match url.scheme() {
        "https" => None,
        "http" if is_loopback && !is_live => None,
        "http" if is_loopback => Some("only a test checkout may come back to this machine; use https"),
        _ => Some("buyers are sent to https addresses only"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twenty_in_any_minute_and_the_next_when_the_oldest_is_a_minute_old() {
        let at = |millis: i64| Timestamp::from_millisecond(1_000_000 + millis).unwrap_or_default();
        let open = |kept: &str, millis: &[i64]| {
            millis.iter().try_fold(kept.to_owned(), |kept, millis| counted(&kept, at(*millis)))
        };
        // Two seconds apart, across the end of a minute of the clock.
        let full = open("", &(0..20).map(|number| number * 2_000).collect::<Vec<_>>()).unwrap_or_default();
        for (millis, expected) in [
            (38_000, Err(22)),
            (59_000, Err(1)),
            (59_999, Err(1)),
            (60_000, Ok(20)),
            (61_999, Ok(20)),
            (62_000, Ok(19)),
            (98_000, Ok(1)),
            // A clock that is behind.
            (-30_000, Err(60)),
        ] {
            let counts = counted(&full, at(millis)).map(|kept| kept.split(' ').count());
            assert_eq!(counts, expected, "{millis}");
        }
        let next = open(&full, &[60_000]).unwrap_or_default();
        assert_eq!(open(&next, &[60_000]), Err(2), "one has made room for one");
    }

    #[test]
    fn buyers_are_sent_to_https_and_to_this_machine_only_to_try_things_out() {
        for (address, live, test) in [
            ("https://app.example/thanks?session={CHECKOUT_SESSION_ID}", true, true),
            ("https://127.0.0.1/thanks", true, true),
            ("http://localhost:3000/thanks", false, true),
            ("http://127.0.0.1:3000/", false, true),
            ("http://[::1]:3000/", false, true),
            ("http://app.example/thanks", false, false),
            ("http://localhost.evil.example/", false, false),
            ("//app.example/thanks", false, false),
            ("/thanks", false, false),
            ("javascript:alert(1)", false, false),
            ("https://user:password@app.example/", false, false),
            ("https://app.example/a b", false, false),
            ("https://app.example/\n", false, false),
            ("", false, false),
        ] {
            let is_right = |is_live| wrong_with_url(address, is_live).is_none();
            assert_eq!((is_right(true), is_right(false)), (live, test), "{address}");
        }
        let long = |length: usize| format!("https://a.example/{}", "x".repeat(length - 18));
        assert_eq!(wrong_with_url(&long(2_048), true), None);
        assert!(wrong_with_url(&long(2_049), true).is_some());
    }
}
