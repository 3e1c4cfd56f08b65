//! Orders that people and the API make (B27). They enter by the same inbox as everything else, so that there is one
//! way for a license to exist. Nothing is ever delivered here by webhook.

use domain::{
    fact::Fact,
    join::{Register, Stamp},
    money::{Currency, Money},
    order::{Approval, Contact, Line, Lines, Order, ProviderKey, Purchase, PurchaseState},
    text::{EmailAddress, PlanCode, PriceReference, Reference},
};
use jiff::Timestamp;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::{
    ApiBase, Delivery, Guide, Incoming, Info, Malformed, Outcome, Provider, Reject, Settings, Step, Verified,
    http::{Answer, HttpAnswer},
};

/// The slug of this provider.
pub const SLUG: &str = "manual";

/// The kind of its event for what is issued.
pub const ISSUE: &str = "issue";
/// The kind of its event for what is brought along from another system.
pub const IMPORT: &str = "import";

/// What is issued by hand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issue {
    /// The sale's own reference, unique at its connection.
    pub reference: String,
    /// Who gets it; none: whoever asked for it delivers it.
    pub email: Option<EmailAddress>,
    /// Their name.
    #[serde(default)]
    pub name: Option<Box<str>>,
    /// The plan.
    pub plan: PlanCode,
    /// How many keys.
    pub quantity: u32,
    /// Whether we send the mail.
    pub send_email: bool,
    /// When it was asked for, or sold where it is brought from.
    #[serde(with = "domain::time::micros")]
    pub at: Timestamp,
    /// When it ends, whatever the plan says.
    #[serde(default, with = "domain::time::micros_optional", skip_serializing_if = "Option::is_none")]
    pub ends: Option<Timestamp>,
    /// Its buyer has a key already, and the license takes that. The key itself is not here.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub has_key: bool,
    /// Another name of the sale.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub also: Option<String>,
}

/// The provider of orders made by hand.
pub struct Manual;

static INFO: Info = Info {
    slug: SLUG,
    name: "Manual",
    events: &[],
    permissions: &[],
    api_base: ApiBase::both(""),
    api_headers: &[],
    guide: GUIDE,
};

const GUIDE: Guide =
    Guide { endpoint: "", secret: "", api_key: None, redirect: None, price: "", price_example: "", notes: &[] };

impl Issue {
    fn order(self) -> Order {
        let reference = Reference::new(self.reference);
        let line = Line {
            line: reference.clone(),
            price: PriceReference::new(format!("plan:{}", self.plan)),
            product: None,
            quantity: self.quantity,
            recurring: false,
            named: Some(self.plan),
            description: None,
        };
        let purchase = Purchase {
            lines: Lines::Known(vec![line]),
            state: PurchaseState::Paid,
            total: Money::new(0, Currency::NONE),
            at: self.at,
            subscriptions: Default::default(),
            silent: !self.send_email,
            ends: self.ends,
        };
        let key = ProviderKey { line: reference.clone(), told_by: reference.as_str().into() };
        let contact = self.email.map(|email| Register::new(Stamp::at(self.at), Contact { email, name: self.name }));
        Order {
            references: std::iter::once(reference.clone()).chain(self.also.map(Reference::new)).collect(),
            keys: self.has_key.then(|| (reference.clone(), key)).into_iter().collect(),
            purchases: [(reference, purchase)].into(),
            contact,
            // Who issues by hand has said yes to it.
            approval: Some(Register::new(Stamp::at(self.at), Approval::Approved)),
            ..Order::default()
        }
    }
}

impl Provider for Manual {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn verify<'a>(
        &self,
        _: &Delivery<'a>,
        _: &[SecretString],
        _: &Settings,
        _: Timestamp,
    ) -> Result<Verified<'a>, Reject> {
        Err(Reject::NoSecret)
    }

    fn incoming(&self, _: &Verified<'_>) -> Result<Vec<Incoming>, Malformed> {
        Err(Malformed { what: "orders by hand are not delivered by webhook".to_owned() })
    }

    fn translate(&self, incoming: &Incoming, _: &Settings, _: &[Answer]) -> Result<Step, Malformed> {
        let issue: Issue =
            serde_json::from_str(&incoming.body).map_err(|error| Malformed { what: error.to_string() })?;
        Ok(Step::Facts(vec![Fact::Order(Box::new(issue.order()))]))
    }

    fn answer(&self, _: &Outcome) -> HttpAnswer {
        HttpAnswer::text(404, "Not Found")
    }
}
