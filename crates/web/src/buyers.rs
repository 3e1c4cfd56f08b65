//! Where buyers come whom a marketplace sends here, and the page that shows them their key.
//!
//! The address of that page is what proves who they are, for an hour: it goes to nobody (no referrer, no third party, no
//! cache), and whoever has another one sees what everybody sees. Nothing on it needs a script.

use std::net::SocketAddr;

use askama::Template;
use axum::{
    Form, Router,
    extract::{
        ConnectInfo, DefaultBodyLimit, OriginalUri, Path, Query, State, rejection::FormRejection,
        rejection::QueryRejection,
    },
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    middleware::map_response,
    response::{Html, IntoResponse, Redirect, Response},
    routing::get,
};
use domain::text::EmailAddress;
use engine::redeem::{Brought, BuyersLicense, BuyersPage, RedeemError};
use providers::redeem::NotRedeemed;
use serde::Deserialize;

use crate::Web;

/// How often a page looks whether its key has come, in seconds.
const LOOK_AGAIN_SECONDS: u32 = 5;
/// The longest form, in bytes: an address and its name.
const FORM_BYTES_MAX: usize = 2 * 1024;

/// What every one of these pages forbids: being kept, framed, indexed, told to others, and all that it does not have.
const HEADERS: [(HeaderName, HeaderValue); 4] = [
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
        ),
    ),
];

pub(crate) fn routes() -> Router<Web> {
    Router::new()
        .route("/redeem/{provider}/{tenant}", get(come))
        .route("/redeem/{provider}/{tenant}/{connection}", get(come))
        .route("/redeemed/{page}", get(show).post(mail))
        .layer(DefaultBodyLimit::max(FORM_BYTES_MAX))
        .layer(map_response(guard))
}

/// Puts the headers on whatever is answered.
async fn guard(mut response: Response) -> Response {
    response.headers_mut().extend(HEADERS);
    response
}

/// Counts what a stranger can do as well: bring a code, try a page, write something down. Some: too often. A page that opens and
/// is looked at is not counted: it looks again by itself, and many buyers may share an address.
fn counted(web: &Web, peer: SocketAddr) -> Option<Response> {
    let seconds = (web.too_many)(peer.ip())?;
    let wait = (header::RETRY_AFTER, HeaderValue::from(seconds));
    let page = Page::of_words("One moment", "That was often. The page opens again by itself in a moment.");
    let page = Page { again_seconds: Some(u32::try_from(seconds).unwrap_or(u32::MAX)), ..page };
    Some((StatusCode::TOO_MANY_REQUESTS, HeaderMap::from_iter([wait]), page.html()).into_response())
}

/// What of mails there is to say or ask.
enum MailPart {
    None,
    /// The form is a click away: a page that looks again by itself would lose what is typed.
    Offer,
    /// The form, and what was wrong with what was typed before.
    Form(Option<&'static str>),
    /// It is on its way, to an address that nobody has written down yet.
    Soon,
    /// It goes to that address, which may be another one until then.
    Waiting(String),
    /// It went to that address, of which no more is shown than its owner needs to know it again.
    Sent(String),
}

/// What the buyer did last.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Did {
    Look,
    AskForForm,
    Send,
    SendNonsense,
}

impl Did {
    fn read(query: Option<&str>) -> Self {
        match query {
            Some("mail") => Self::AskForForm,
            Some("mailed") => Self::Send,
            _ => Self::Look,
        }
    }
}

#[derive(Template)]
#[template(path = "buyer.html")]
struct Page {
    heading: String,
    words: String,
    licenses: Vec<BuyersLicense>,
    mail: MailPart,
    again_seconds: Option<u32>,
}

impl Page {
    fn of_words(heading: &str, words: impl Into<String>) -> Self {
        let (heading, words) = (heading.to_owned(), words.into());
        Self { heading, words, licenses: Vec::new(), mail: MailPart::None, again_seconds: None }
    }

    fn of_buyer(page: BuyersPage, did: Did) -> Self {
        let BuyersPage { provider, licenses, contact, mailed_to, is_handed_over } = page;
        if is_handed_over {
            let words = format!(
                "What was bought at {provider} was handed over to somebody else, who has its key. If you did not ask for that, \
                 or it is yours again, ask the vendor."
            );
            return Self::of_words("This purchase was handed over", words);
        }
        let mail = match (mailed_to, contact, did) {
            (Some(address), ..) => MailPart::Sent(address.masked()),
            // What was typed last may not be written down yet.
            (None, _, Did::Send) => MailPart::Soon,
            (None, Some(contact), Did::Look) => MailPart::Waiting(contact.email.as_str().to_owned()),
            (None, None, Did::Look) if licenses.is_empty() => MailPart::Offer,
            (None, _, Did::Look | Did::AskForForm) => MailPart::Form(None),
            (None, _, Did::SendNonsense) => MailPart::Form(Some("That is no e-mail address.")),
        };
        if licenses.is_empty() {
            let words = format!(
                "{provider} has confirmed it, and the key appears here by itself within a minute or so. If it takes longer, \
                 nothing is lost: ask the vendor, or open it from {provider} again."
            );
            let again_seconds = (!matches!(mail, MailPart::Form(_))).then_some(LOOK_AGAIN_SECONDS);
            return Self { mail, again_seconds, ..Self::of_words("Your purchase is on its way", words) };
        }
        let keys = licenses.iter().filter(|license| license.key.is_some()).count();
        let (heading, words) = match (keys, licenses.len()) {
            (0, _) => ("Your license", format!("What you bought at {provider} does not work at present.")),
            (_, 1) => ("Here is your key", format!("Thank you for your purchase at {provider}.")),
            _ => ("Here are your keys", format!("Thank you for your purchase at {provider}.")),
        };
        let mail = if keys == 0 { MailPart::None } else { mail };
        Self { licenses, mail, ..Self::of_words(heading, words) }
    }

    fn html(&self) -> Response {
        match self.render() {
            Ok(text) => Html(text).into_response(),
            Err(error) => failed(&error),
        }
    }
}

/// What a marketplace adds to the address.
#[derive(Debug, Default, Deserialize)]
struct Sent {
    code: Option<String>,
}

/// Where to: a marketplace, a vendor, and one of its connections.
#[derive(Deserialize)]
struct Address {
    provider: String,
    tenant: String,
    connection: Option<String>,
}

/// `GET /redeem/{provider}/{tenant}` and `…/{connection}`: a buyer comes from a marketplace.
async fn come(
    State(web): State<Web>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    OriginalUri(uri): OriginalUri,
    Path(Address { provider, tenant, connection }): Path<Address>,
    sent: Result<Query<Sent>, QueryRejection>,
) -> Response {
    let Some(market) = providers::by_slug(&provider).filter(|provider| provider.redeem().is_some()) else {
        return nowhere();
    };
    let name = market.info().name;
    let Some(code) = sent.ok().and_then(|Query(sent)| sent.code) else {
        // The marketplace itself looks here, before it has a client of ours, whether anybody answers.
        let words = format!("To see your key, open your purchase at {name} and follow the link there.");
        return Page::of_words(&format!("Buyers from {name} are welcome here"), words).html();
    };
    // A code is worth something once, and the marketplace is asked for every one of them.
    if let Some(too_often) = counted(&web, peer) {
        return too_often;
    }
    let server = web.public_url.trim_end_matches('/');
    let redirect_uri = format!("{server}{}", uri.path());
    let connection = connection.as_deref();
    let brought =
        Brought { provider: &provider, tenant: &tenant, connection, code: &code, redirect_uri: &redirect_uri };
    match web.engine.redeem(brought).await {
        Ok(page) => Redirect::to(&format!("{server}/redeemed/{page}")).into_response(),
        Err(RedeemError::Engine(error)) => failed(&error),
        Err(error) => refused(name, &error),
    }
}

/// Why a buyer gets no page, in words for a buyer.
fn refused(market: &str, error: &RedeemError) -> Response {
    let (status, heading, words) = match error {
        RedeemError::Refused(NotRedeemed::Code) => (
            StatusCode::GONE,
            "This link was used already",
            format!("Each link from {market} opens once. Open your purchase there again: you get a new one."),
        ),
        RedeemError::Refused(NotRedeemed::TakenBack) => (
            StatusCode::GONE,
            "This purchase was taken back",
            format!("{market} says that it is not active any more: it was refunded, or exchanged for another one."),
        ),
        RedeemError::Unexpected | RedeemError::Refused(NotRedeemed::Client) => (
            StatusCode::SERVICE_UNAVAILABLE,
            "The vendor is not ready yet",
            format!("{market} does not let us see your purchase. Nothing is lost: ask the vendor, and come again."),
        ),
        _ => (
            StatusCode::SERVICE_UNAVAILABLE,
            "That did not work just now",
            format!("{market} gave no answer that we understand. Open your purchase there again in a minute."),
        ),
    };
    (status, Page::of_words(heading, words).html()).into_response()
}

/// `GET /redeemed/{page}`; with `?mail` it asks for an address and does not look again by itself.
async fn show(
    State(web): State<Web>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Path(page): Path<String>,
    OriginalUri(uri): OriginalUri,
) -> Response {
    match web.engine.buyers_page(&page).await {
        Ok(Some(page)) => Page::of_buyer(page, Did::read(uri.query())).html(),
        Ok(None) => counted(&web, peer).unwrap_or_else(nowhere),
        Err(error) => failed(&error),
    }
}

#[derive(Debug, Deserialize)]
struct MailForm {
    email: String,
}

/// `POST /redeemed/{page}`: where the buyer wants mails to go.
async fn mail(
    State(web): State<Web>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Path(page): Path<String>,
    form: Result<Form<MailForm>, FormRejection>,
) -> Response {
    if let Some(too_often) = counted(&web, peer) {
        return too_often;
    }
    let email = form.ok().and_then(|Form(form)| EmailAddress::parse(&form.email).ok());
    let Some(email) = email else {
        return match web.engine.buyers_page(&page).await {
            Ok(Some(page)) => {
                (StatusCode::UNPROCESSABLE_ENTITY, Page::of_buyer(page, Did::SendNonsense).html()).into_response()
            }
            Ok(None) => nowhere(),
            Err(error) => failed(&error),
        };
    };
    match web.engine.buyers_contact(&page, email).await {
        Ok(true) => {
            Redirect::to(&format!("{}/redeemed/{page}?mailed", web.public_url.trim_end_matches('/'))).into_response()
        }
        Ok(false) => nowhere(),
        Err(error) => failed(&error),
    }
}

/// What everybody sees who has no page here, or no longer.
fn nowhere() -> Response {
    let words = "Pages like this one open for an hour. Open your purchase at the marketplace again to get a new one.";
    (StatusCode::NOT_FOUND, Page::of_words("There is nothing here", words).html()).into_response()
}

fn failed(error: &dyn std::fmt::Display) -> Response {
    tracing::error!(%error, "a buyer's page failed");
    let words = "This page cannot be shown right now. Nothing is lost; open it again in a minute.";
    (StatusCode::SERVICE_UNAVAILABLE, words).into_response()
}
