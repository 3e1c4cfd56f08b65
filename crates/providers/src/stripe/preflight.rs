//! Which permissions a restricted key lacks, found out without touching anything.
//!
//! Stripe checks the permission before it looks for the object, so that a question about an object that cannot exist is
//! answered "not found" by a key that may ask, and "forbidden" by one that may not. Of writes the same is asked: they
//! would change an object that is not there. Slugs and texts are those seen in public code; `docs/unverified.md` says what
//! was never tried on a real account.

use super::outgoing::message;
use crate::{
    Level,
    calls::{KeyCheck, MissingPermission, Uses},
    http::{Answer, Post, Request, percent_encoded},
};

/// The permission to read the list of events, as Stripe's form names it.
pub(super) const EVENTS: &str = "Events: read";

/// A permission, and the questions that show whether a key has it.
struct Permission {
    /// Stripe's name for it, as its refusals and its form's address have it.
    code: &'static str,
    /// Stripe's name for it in its form.
    name: &'static str,
    /// What is asked with it, about an object that is not there. Each path that is looked up has its question here, so that
    /// Stripe says itself what the path needs, should that be something else.
    paths: &'static [&'static str],
    /// Whether the question is a change of that object.
    writes: bool,
    /// When it is needed.
    needed: fn(&Uses) -> bool,
    /// What does not work without it.
    without: &'static str,
}

/// What a restricted key needs: what is really asked at each level, and nothing else. A test holds the two together.
///
/// The permissions that the source document lists (B08) are others: customers and charges are never read, for events tell
/// who bought and what went back, and neither lost webhooks nor renewals can be seen with its three.
const PERMISSIONS: &[Permission] = &[
    Permission {
        code: "rak_checkout_session_read",
        name: "Checkout Sessions: read",
        paths: &["/v1/checkout/sessions/cs_keywright_preflight/line_items?limit=1"],
        writes: false,
        needed: |uses| uses.level != Level::None,
        without: "what a checkout was for stays unknown, unless its metadata names a plan",
    },
    Permission {
        code: "rak_invoice_read",
        name: "Invoices: read",
        paths: &[
            "/v1/invoice_payments?payment%5Btype%5D=payment_intent\
             &payment%5Bpayment_intent%5D=pi_keywright_preflight&limit=1",
            "/v1/invoices/in_keywright_preflight/lines?limit=1",
        ],
        writes: false,
        needed: |uses| uses.level != Level::None,
        without: "the refund or dispute of a renewal may not find what it paid for, and an invoice of more than ten lines may \
                  not say until when it pays",
    },
    Permission {
        code: "rak_event_read",
        name: EVENTS,
        paths: &["/v1/events?limit=1&starting_after=evt_keywright_preflight"],
        writes: false,
        needed: |uses| uses.level != Level::None,
        without: "webhooks that were lost are not caught up",
    },
    Permission {
        code: "rak_subscription_read",
        name: "Subscriptions: read",
        paths: &["/v1/subscriptions/sub_keywright_preflight"],
        writes: false,
        needed: |uses| uses.level == Level::Full,
        without: "two changes of a subscription within one second may be taken in the wrong order",
    },
    Permission {
        code: "rak_customer_write",
        name: "Customers: write",
        paths: &["/v1/customers/cus_keywright_preflight"],
        writes: true,
        needed: |uses| uses.write_back,
        without: "keys are not written to customers",
    },
    Permission {
        code: "rak_webhook_write",
        name: "Webhook Endpoints: write",
        paths: &["/v1/webhook_endpoints/we_keywright_preflight"],
        writes: true,
        needed: |uses| uses.create_webhook,
        without: "the webhook endpoint has to be made by hand",
    },
    Permission {
        // Prices were plans once.
        code: "rak_plan_write",
        name: "Prices: write",
        paths: &["/v1/prices/price_keywright_preflight"],
        writes: true,
        needed: |uses| uses.sells,
        without: "the price of a plan is not made, so that nothing can be sold by `POST /api/{tenant}/checkout`",
    },
    Permission {
        code: "rak_product_write",
        name: "Products: write",
        // A price is made together with its product.
        paths: &["/v1/products/prod_keywright_preflight"],
        writes: true,
        needed: |uses| uses.sells,
        without: "the price of a plan may not be made, since its product is made with it",
    },
    Permission {
        code: "rak_checkout_session_write",
        name: "Checkout Sessions: write",
        paths: &["/v1/checkout/sessions/cs_keywright_preflight"],
        writes: true,
        needed: |uses| uses.sells,
        without: "`POST /api/{tenant}/checkout` opens no checkout",
    },
];

impl Permission {
    fn questions(&self) -> impl Iterator<Item = Request> {
        self.paths
            .iter()
            .map(|path| if self.writes { Request::post(*path, Post::default()) } else { Request::get(*path) })
    }
}

fn needed(uses: Uses) -> impl Iterator<Item = &'static Permission> {
    PERMISSIONS.iter().filter(move |permission| (permission.needed)(&uses))
}

/// The questions that show what a key for these uses lacks.
pub(super) fn questions(uses: Uses) -> Vec<Request> {
    needed(uses).flat_map(Permission::questions).collect()
}

/// What the answers say. A question without an answer shows nothing.
pub(super) fn read(uses: Uses, answers: &[Answer], live: bool) -> KeyCheck {
    let refused = answers.iter().find(|answer| answer.status == 401);
    if let Some(answer) = refused {
        let refused = Some(message(&answer.body).unwrap_or_else(|| "the key is not accepted".to_owned()));
        return KeyCheck { refused, ..KeyCheck::default() };
    }
    let mut missing: Vec<MissingPermission> = Vec::new();
    for permission in needed(uses) {
        for question in permission.questions() {
            let answer = answers.iter().find(|answer| answer.request == question);
            let Some(answer) = answer.filter(|answer| answer.status == 403) else { continue };
            let lacking = lacking(permission, named_in(&answer.body));
            if missing.iter().all(|known| known.code != lacking.code) {
                missing.push(lacking);
            }
        }
    }
    let link = (!missing.is_empty()).then(|| link(uses, &missing, live));
    KeyCheck { refused: None, missing, link }
}

/// What Stripe names counts, should it name another permission than was expected.
fn lacking(permission: &Permission, named: Option<String>) -> MissingPermission {
    let code = named.unwrap_or_else(|| permission.code.to_owned());
    let known = PERMISSIONS.iter().find(|known| known.code == code);
    let name = known.map_or_else(|| code.clone(), |known| known.name.to_owned());
    MissingPermission { code, name, without: permission.without }
}

/// The permission in "Having the 'rak_...' permission would allow this request to continue."
fn named_in(body: &str) -> Option<String> {
    let message = message(body)?;
    let (_, named) = message.split_once("Having the '")?;
    let (code, _) = named.split_once('\'')?;
    let is_code = code.starts_with("rak_") && code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    is_code.then(|| code.to_owned())
}

/// Stripe's form for a new restricted key, filled in with all that these uses need: a key made there takes the place of the
/// one that lacks something.
fn link(uses: Uses, missing: &[MissingPermission], live: bool) -> String {
    let mut codes: Vec<&str> = needed(uses).map(|permission| permission.code).collect();
    for lacking in missing {
        if !codes.contains(&lacking.code.as_str()) {
            codes.push(&lacking.code);
        }
    }
    // The form has one choice for each thing, and whoever may write may read.
    let writes: Vec<String> = codes.iter().filter_map(|code| Some(code.strip_suffix("_write")?.to_owned())).collect();
    codes.retain(|code| !code.strip_suffix("_read").is_some_and(|thing| writes.iter().any(|known| known == thing)));
    let form = if live { "apikeys/create" } else { "test/apikeys/create" };
    let mut link = format!("https://dashboard.stripe.com/{form}?name=Keywright");
    for (place, code) in codes.iter().enumerate() {
        let field = percent_encoded(&format!("permissions[{place}]"));
        link.push_str(&format!("&{field}={code}"));
    }
    link
}
