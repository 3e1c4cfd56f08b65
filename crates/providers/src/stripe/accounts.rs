//! Stripe Connect: accounts of vendors, for which a platform's key acts.

use super::selling::{field, lacks, made, post};
use crate::{
    accounts::Accounts,
    http::{Content, Post, Request},
    selling::Refused,
};

/// What a platform does.
pub(super) struct Connect;

impl Accounts for Connect {
    /// Every object of a direct charge lives on the account.
    fn header(&self) -> &'static str {
        "stripe-account"
    }

    /// The object is the platform's application; the account is the event's own.
    fn disconnection(&self) -> &'static str {
        "account.application.deauthorized"
    }

    /// A standard account is the vendor's own: they have the dashboard, and Stripe asks them what it needs to know.
    fn create(&self, attempt: &str) -> Request {
        post("/v1/accounts", vec![field("type", "standard")], format!("keywright-account-{attempt}"))
    }

    fn created(&self, status: u16, body: &str) -> Result<String, Refused> {
        made(status, body)?.id.ok_or_else(|| lacks(status, "id"))
    }

    /// A page is good for a few minutes and for one visit, so each call makes another.
    fn onboard(&self, account: &str, return_url: &str, refresh_url: &str) -> Request {
        let form = vec![
            field("account", account),
            field("type", "account_onboarding"),
            field("return_url", return_url),
            field("refresh_url", refresh_url),
        ];
        Request::post("/v1/account_links", Post { content: Content::Form(form), idempotency_key: None })
    }

    fn onboarded(&self, status: u16, body: &str) -> Result<String, Refused> {
        made(status, body)?.url.ok_or_else(|| lacks(status, "url"))
    }
}
