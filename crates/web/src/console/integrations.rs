//! Whoever is told when something needs a person: mailboxes, chats, and systems of the vendor's own.

use std::collections::BTreeSet;

use askama::Template;
use axum::{
    Form, Router,
    extract::{Path, Query, State},
    response::Response,
    routing::get,
};
use crypto::webhook::WebhookSecret;
use domain::{
    alert::{ChannelKind, ITEM_KINDS, TEST, title},
    id::AlertChannelId,
    member::Ability,
};
use engine::configuration::{AlertInput, Existing};
use jiff::Timestamp;
use store::{
    alerts::status,
    lists::Page,
    rows::{Alert, AlertChannel},
};

use super::{
    action::{Field, Question, Sent, shown_once},
    browser::see_other,
    mistakes::of_configuration,
    place::{
        Place,
        to::{Configure, Look},
    },
    refusal::Refusal,
    shell::{Shell, page},
    words::{Pill, When, capitalised, progress},
};
use crate::Web;

const SECTION: &str = "settings/integrations";
/// Alerts of a channel that are shown.
const ALERTS: u64 = 5;
const KINDS: [(&str, &str); 3] = [
    ("mail", "A mail"),
    ("slack", "A message in Slack, Mattermost or Discord"),
    ("webhook", "A signed call to a system of yours"),
];

/// The pages of integrations.
pub(crate) fn routes() -> Router<Web> {
    Router::new()
        .route("/console/{tenant}/{mode}/settings/integrations", get(list))
        .route("/console/{tenant}/{mode}/settings/integrations/new", get(new_form).post(create))
        .route("/console/{tenant}/{mode}/settings/integrations/{id}/{action}", get(form).post(act))
}

#[derive(Template)]
#[template(path = "console/integrations.html")]
struct IntegrationsPage {
    shell: Shell,
    path: String,
    cards: Vec<Card>,
    /// Addresses of the vendor's own that may fail without anybody hearing of it.
    is_unwatched: bool,
    may_configure: bool,
}

struct Card {
    path: String,
    code: String,
    kind: &'static str,
    to: String,
    carries: String,
    alerts: Vec<AlertRow>,
}

struct AlertRow {
    what: String,
    pill: Pill,
    when: When,
    error: Option<String>,
}

fn kind_words(kind: &str) -> &'static str {
    KINDS.iter().find(|(word, _)| *word == kind).map_or("A way that a later release has made", |(_, words)| words)
}

fn kept_items(row: &AlertChannel) -> BTreeSet<String> {
    serde_json::from_str(&row.items).unwrap_or_default()
}

/// `GET …/settings/integrations`.
async fn list(State(web): State<Web>, place: Place<Look>) -> Result<Response, Refusal> {
    let (now, store) = (web.engine.now(), &web.engine.store);
    let mut cards = Vec::new();
    for row in store.alert_channels_in(place.whose()).await? {
        let id = AlertChannelId(row.id);
        let alerts = store.list_alerts(id, Page { limit: ALERTS, from: None }).await?.rows;
        cards.push(card(&place, row, alerts, now));
    }
    let unwatched = web.engine.unwatched_webhooks().await?;
    page(&IntegrationsPage {
        shell: Shell::new(&web, &place, SECTION, "Integrations").await?,
        path: place.at(SECTION),
        cards,
        is_unwatched: unwatched.contains(&(place.tenant.slug.clone(), place.livemode)),
        may_configure: place.role.may(Ability::Configure),
    })
}

fn card(place: &Place<Look>, row: AlertChannel, alerts: Vec<Alert>, now: Timestamp) -> Card {
    let items = kept_items(&row);
    let carries = match items.is_empty() {
        true => "all that needs a person, but approvals, which are daily work".to_owned(),
        false => items.iter().map(|kind| title(kind)).collect::<Vec<_>>().join("; "),
    };
    let alert = |row: Alert| AlertRow {
        what: if row.kind == TEST { "A test".to_owned() } else { capitalised(&title(&row.kind)) },
        pill: progress(&row.status),
        when: When::stored(row.sent_at.unwrap_or(row.created_at), now),
        error: row.error.filter(|_| row.status != status::SENT),
    };
    Card {
        path: place.at(&format!("{SECTION}/{}", AlertChannelId(row.id))),
        kind: kind_words(&row.kind),
        to: row.hint,
        carries,
        alerts: alerts.into_iter().map(alert).collect(),
        code: row.code,
    }
}

fn items(question: Question, sent: &Sent) -> Question {
    let question = question
        .says("It carries what is ticked. With nothing ticked it carries all but approvals, which are daily work.");
    let check = |(kind, title): &(&'static str, &'static str)| Field::Check {
        name: kind,
        label: title,
        hint: "",
        is_on: sent.is_on(kind),
    };
    GROUPS.into_iter().fold(question, |question, group| {
        let kinds = ITEM_KINDS.iter().filter(|(kind, _)| group_of(kind) == group);
        kinds.map(check).fold(question.asks(Field::Part(group)), Question::asks)
    })
}

const GROUPS: [&str; 4] = ["Sales", "Keys and mails", "Providers", "Your own systems"];

/// What an item is about, so that a long list is found through.
fn group_of(kind: &str) -> &'static str {
    let begins = |words: &[&str]| words.iter().any(|word| kind.starts_with(word));
    match kind {
        _ if begins(&["webhook_", "deliveries_", "alerts_", "backup_", "outgoing_"]) => GROUPS[3],
        _ if begins(&["account_disconnected", "event", "lookup_", "no_events", "not_caught_up"]) => GROUPS[2],
        _ if begins(&["price_", "signatures_", "unknown_account", "write_back_"]) => GROUPS[2],
        _ if begins(&["buyers_", "key_", "mail", "no_address", "no_sender", "sender_", "successor_"]) => GROUPS[1],
        _ => GROUPS[0],
    }
}

fn ticked(sent: &Sent) -> BTreeSet<String> {
    ITEM_KINDS.iter().filter(|(kind, _)| sent.is_on(kind)).map(|(kind, _)| (*kind).to_owned()).collect()
}

/// Where it leads is never shown again: it may hold a token.
fn to(label: &'static str) -> Field {
    Field::text("to", label, "").hint(
        "An e-mail address; or the address of an incoming webhook, as Slack, Mattermost and Discord (with /slack behind it) give it.",
    )
}

fn making(place: &Place<Configure>, sent: &Sent) -> Question {
    let mode =
        if place.livemode { "It carries what is about real sales." } else { "It carries what is about test mode." };
    let question = Question::new("New alert channel", "Make it", place.at(SECTION))
        .says(format!("{mode} What is open already stands under Needs attention, and is not told."))
        .asks(Field::choice("kind", "It sends", KINDS, sent.some("kind").unwrap_or("mail")))
        .asks(to("To").needed())
        .asks(
            Field::text("code", "Your name for it", sent.get("code"))
                .needed()
                .hint("Letters a-z, digits and -, such as on-call."),
        );
    items(question, sent)
}

/// `GET …/settings/integrations/new`.
async fn new_form(
    State(web): State<Web>,
    place: Place<Configure>,
    Query(sent): Query<Sent>,
) -> Result<Response, Refusal> {
    place.confirmed(&web)?;
    making(&place, &sent).page(&web, &place, SECTION, None).await
}

/// `POST …/settings/integrations/new`.
async fn create(State(web): State<Web>, place: Place<Configure>, Form(sent): Form<Sent>) -> Result<Response, Refusal> {
    place.confirmed(&web)?;
    let kind = ChannelKind::parse(sent.get("kind")).ok_or(Refusal::Unreadable("There is no such way.".into()))?;
    let secret = (kind == ChannelKind::Webhook).then(|| WebhookSecret::generate(&mut *web.engine.entropy()));
    let shown = secret.as_ref().map(|secret| zeroize::Zeroizing::new(secret.reveal().to_owned()));
    let input = AlertInput {
        code: sent.get("code").to_owned(),
        livemode: place.livemode,
        kind,
        to: sent.secret("to"),
        items: ticked(&sent),
        secret,
    };
    match web.engine.save_alert_channel(place.whose().tenant, input, Existing::New, &place.by("").actor).await {
        Err(error) => making(&place, &sent).page(&web, &place, SECTION, Some(of_configuration(error)?)).await,
        Ok(_) => match shown {
            None => Ok(see_other(&place.at(&format!("{SECTION}?said=saved")))),
            Some(secret) => {
                let notes = ["Your receiver checks with it that a call is ours, as Standard Webhooks says."];
                shown_once(&web, &place, SECTION, ("The signing secret", &secret, &notes)).await
            }
        },
    }
}

/// A channel of this vendor in this mode.
async fn channel(web: &Web, place: &Place<Configure>, id: &str) -> Result<AlertChannel, Refusal> {
    let id: AlertChannelId = id.parse().map_err(|_| Refusal::NotFound)?;
    web.engine.alert_channel(place.whose(), id).await?.ok_or(Refusal::NotFound)
}

fn question(place: &Place<Configure>, row: &AlertChannel, word: &str, sent: &Sent) -> Result<Question, Refusal> {
    let new = |title: &str, button| Question::new(format!("{title} · {}", row.code), button, place.at(SECTION));
    Ok(match word {
        "test" => new("Try it", "Send a test")
            .says(format!("A message that says that it is a test goes to {}. What became of it stands on the page a moment later.", row.hint))
            .asks(Field::reason()),
        "change" => {
            let kept = kept_items(row).iter().fold(Sent::default(), |kept, kind| kept.with(kind, "on"));
            let sent = if sent.has("to") { sent } else { &kept };
            let question = new("Change the channel", "Save")
                .says(format!("It leads to {} now. Left empty, that stays.", row.hint))
                .asks(to("To, if it is to be another"));
            items(question, sent)
        }
        "remove" => new("Remove the channel", "Remove it")
            .says("Nobody is told by it any more; alerts that wait there are dropped. What needs attention stays in the list.")
            .dangerous(),
        _ => return Err(Refusal::NotFound),
    })
}

type Asked = Path<(String, String, String, String)>;

/// `GET …/settings/integrations/{id}/{action}`.
async fn form(
    State(web): State<Web>,
    place: Place<Configure>,
    Path((_, _, id, word)): Asked,
    Query(sent): Query<Sent>,
) -> Result<Response, Refusal> {
    let row = channel(&web, &place, &id).await?;
    let question = question(&place, &row, &word, &sent)?;
    if word == "change" {
        place.confirmed(&web)?;
    }
    question.page(&web, &place, SECTION, None).await
}

/// `POST …/settings/integrations/{id}/{action}`.
async fn act(
    State(web): State<Web>,
    place: Place<Configure>,
    Path((_, _, id, word)): Asked,
    Form(sent): Form<Sent>,
) -> Result<Response, Refusal> {
    let row = channel(&web, &place, &id).await?;
    let question = question(&place, &row, &word, &sent)?;
    let (id, tenant, by) = (AlertChannelId(row.id), place.whose().tenant, place.by(sent.get("note")));
    let done = match word.as_str() {
        "test" => {
            web.engine.test_alert_channel(place.whose(), id, &by).await?.ok_or(Refusal::NotFound)?;
            return Ok(see_other(&place.at(&format!("{SECTION}?said=sent"))));
        }
        "change" => {
            place.confirmed(&web)?;
            let kind = ChannelKind::parse(&row.kind)
                .ok_or(Refusal::Unreadable("This release knows no such channel.".into()))?;
            let input = AlertInput {
                code: row.code.clone(),
                livemode: row.livemode,
                kind,
                to: sent.secret("to"),
                items: ticked(&sent),
                secret: None,
            };
            web.engine.save_alert_channel(tenant, input, Existing::There, &by.actor).await
        }
        _ => web.engine.delete_alert_channel(tenant, id, &by.actor).await,
    };
    match done {
        Ok(_) => Ok(see_other(&place.at(&format!("{SECTION}?said=saved")))),
        Err(error) => question.page(&web, &place, SECTION, Some(of_configuration(error)?)).await,
    }
}
