//! Orders that people and the API make (B27). They enter by the same inbox as everything else, so that there is one
//! way for a license to exist. Nothing is ever delivered here by webhook.

use domain::{
    fact::Fact,
    join::{Register, Stamp},
    money::{Currency, Money},
    order::{Approval, Contact, Line, Lines, Order, Purchase, PurchaseState},
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

/// The kind of its one event.
pub const ISSUE: &str = "issue";

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
    /// When it was asked for.
    #[serde(with = "domain::time::micros")]
    pub at: Timestamp,
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
        };
        let contact = self.email.map(|email| Register::new(Stamp::at(self.at), Contact { email, name: self.name }));
        Order {
            references: [reference.clone()].into(),
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
