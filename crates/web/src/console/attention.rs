//! What needs a person: each item with the one place where it is mended.

use std::collections::BTreeSet;

use askama::Template;
use axum::{
    Form,
    extract::{Path, Query, State},
    response::Response,
};
use domain::{
    backup::{BACKUP_OVERDUE, OUTGOING_HELD},
    id::{AttentionId, ConnectionId, InboundId, OrderId},
    member::Ability,
};
use jiff::Timestamp;
use store::rows::AttentionItem;

use super::{
    action::{Field, Question, Sent},
    browser::see_other,
    entries::page_of,
    list::{Asked, Pager},
    place::{
        Place,
        to::{Configure, Look},
    },
    refusal::{Refusal, encoded},
    shell::{Shell, page},
    words::{When, capitalised, sentence},
};
use crate::Web;

#[derive(Template)]
#[template(path = "console/attention.html")]
struct AttentionPage {
    shell: Shell,
    items: Vec<Item>,
    pager: Pager,
    may_dismiss: bool,
}

/// An open item.
pub(crate) struct Item {
    pub(crate) path: String,
    pub(crate) kind: String,
    pub(crate) detail: String,
    pub(crate) since: When,
    /// What waits for it: `3 orders`; none: nothing that is counted.
    pub(crate) touches: Option<String>,
    /// Where it is mended: address and word.
    pub(crate) mend: Option<(String, &'static str)>,
    /// `closed` or `laid aside`.
    pub(crate) ended: Option<&'static str>,
}

impl Item {
    /// The item as it stands on the page where it is mended, which needs no way there.
    pub(crate) fn on(self, page: &str) -> Self {
        Self { mend: self.mend.filter(|(path, _)| path != page), ..self }
    }
}

/// `GET …/attention`.
pub(crate) async fn list(
    State(web): State<Web>,
    place: Place<Look>,
    Query(asked): Query<Asked>,
) -> Result<Response, Refusal> {
    let now = web.engine.now();
    let at = asked.page::<AttentionId>()?;
    let shell = Shell::live(&web, &place, "attention", "Needs attention").await?;
    let listed = web.engine.store.list_attention(place.whose(), at).await?;
    page(&AttentionPage {
        shell,
        pager: Pager::new(&listed, at, &place.at("attention"), &[], |row| AttentionId(row.id).to_string()),
        items: listed.rows.into_iter().map(|row| item(&place, row, now)).collect(),
        may_dismiss: place.role.may(Ability::Configure),
    })
}

/// An item with the page where it is mended.
pub(crate) fn item<A>(place: &Place<A>, row: AttentionItem, now: Timestamp) -> Item {
    Item {
        path: place.at(&format!("attention/{}", AttentionId(row.id))),
        mend: mend(place, &row),
        kind: capitalised(&row.kind.replace('_', " ")),
        detail: capitalised(&row.detail),
        since: When::stored(row.opened_at, now),
        touches: row.order_id.map(|_| "1 order".to_owned()),
        ended: match (row.closed_at, row.dismissed_at) {
            (Some(_), _) => Some("closed"),
            (None, Some(_)) => Some("laid aside"),
            (None, None) => None,
        },
    }
}

/// Items as a queue: those that one deed mends for several orders are one, with how many they are and since when the first one
/// waits.
pub(crate) fn queue<A>(place: &Place<A>, rows: Vec<AttentionItem>, now: Timestamp) -> Vec<Item> {
    let cause = |row: &AttentionItem| {
        let shared = row.lookup.clone().filter(|_| row.order_id.is_some());
        shared.map(|lookup| (row.kind.clone(), row.connection_id, lookup))
    };
    let mut queue: Vec<(Option<_>, Vec<AttentionItem>)> = Vec::new();
    for row in rows {
        let cause = cause(&row);
        match queue.iter_mut().find(|(known, _)| cause.is_some() && *known == cause) {
            Some((_, same)) => same.push(row),
            None => queue.push((cause, vec![row])),
        }
    }
    let one = |(_, mut same): (_, Vec<AttentionItem>)| {
        let orders = same.iter().filter_map(|row| row.order_id).collect::<BTreeSet<_>>().len();
        let since = same.iter().map(|row| row.opened_at).min();
        let shown = item(place, same.swap_remove(0), now);
        Item {
            touches: if orders > 1 { Some(format!("{orders} orders")) } else { shown.touches },
            since: since.map_or(shown.since, |since| When::stored(since, now)),
            ..shown
        }
    };
    queue.into_iter().map(one).collect()
}

fn mend<A>(place: &Place<A>, row: &AttentionItem) -> Option<(String, &'static str)> {
    let order = || row.order_id.map(|id| place.at(&format!("orders/{}", OrderId(id))));
    let inbound = || row.inbound_id.map(|id| place.at(&format!("inbound/{}", InboundId(id))));
    let billing = || Some((place.at("settings/billing"), "See the connection"));
    match row.kind.as_str() {
        "unmapped_price" => {
            let price = encoded(row.lookup.as_deref().unwrap_or_default());
            let path = match row.connection_id.map(ConnectionId).filter(|_| place.role.may(Ability::Configure)) {
                Some(connection) => format!("prices/map?connection={connection}&value={price}"),
                None => format!("prices?price={price}"),
            };
            Some((place.at(&path), "Map the price"))
        }
        engine::attention::APPROVAL | engine::attention::APPROVAL_OVERDUE => order().map(|path| (path, "Decide")),
        "mail_failed" => page_of(place, &row.subject).map(|path| (path, "See the mail")),
        "mails_held_as_old" => Some((place.at("mails/sender"), "See what is held")),
        BACKUP_OVERDUE | OUTGOING_HELD if place.is_host() && place.role.may(Ability::Decide) => {
            Some((place.at("settings/backups"), "See the backups"))
        }
        "no_sender" | "sender_failing" => Some((place.at("mails/sender"), "See the sender")),
        "mail_template_broken" => Some((place.at("mails/templates"), "See the templates")),
        kind if kind.starts_with("webhook_") || kind.starts_with("deliveries_") => {
            Some((place.at("settings/webhooks"), "See the endpoint"))
        }
        _ => order()
            .map(|path| (path, "See the order"))
            .or_else(|| inbound().map(|path| (path, "See the event")))
            .or_else(|| row.connection_id.and_then(|_| billing())),
    }
}

/// `GET …/attention/{id}/dismiss`.
pub(crate) async fn dismiss_form(
    State(web): State<Web>,
    place: Place<Configure>,
    Path((_, _, id)): Path<(String, String, String)>,
) -> Result<Response, Refusal> {
    let id: AttentionId = id.parse().map_err(|_| Refusal::NotFound)?;
    let row = web.engine.store.attention_item(place.whose(), id).await?.ok_or(Refusal::NotFound)?;
    Question::new(format!("Lay aside · {}", row.kind.replace('_', " ")), "Lay it aside", place.at("attention"))
        .says(sentence(&row.detail))
        .says("Nothing is mended by this: the item leaves the list, and does not come back for the same cause.")
        .asks(Field::reason())
        .page(&web, &place, "attention", None)
        .await
}

/// `POST …/attention/{id}/dismiss`.
pub(crate) async fn dismiss(
    State(web): State<Web>,
    place: Place<Configure>,
    Path((_, _, id)): Path<(String, String, String)>,
    Form(sent): Form<Sent>,
) -> Result<Response, Refusal> {
    let id: AttentionId = id.parse().map_err(|_| Refusal::NotFound)?;
    web.engine.dismiss(place.whose(), id, &place.by(sent.get("note"))).await?.ok_or(Refusal::NotFound)?;
    Ok(see_other(&place.at("attention?said=dismissed")))
}
