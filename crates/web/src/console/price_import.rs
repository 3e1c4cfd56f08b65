//! Many price rules at once: a table that is pasted, looked at, and imported as a whole.

use std::collections::BTreeSet;

use askama::Template;
use axum::{Form, Router, extract::State, response::Response, routing::get};
use engine::configuration::{Action, ConfigurationChange, ConfigurationError, PRICE_COLUMNS, PriceTable, TablePreview};

use super::{
    action::Sent,
    browser::see_other,
    place::{Place, to::Configure},
    prices::Stock,
    refusal::Refusal,
    shell::{Shell, page},
    words::{capitalised, counted},
};
use crate::Web;

pub(crate) fn routes() -> Router<Web> {
    Router::new().route("/console/{tenant}/{mode}/prices/import", get(form).post(act))
}

#[derive(Template)]
#[template(path = "console/price_import.html")]
struct ImportPage {
    shell: Shell,
    back: String,
    columns: String,
    connection: String,
    text: String,
    note: String,
    /// What it would come to; none: nothing was pasted yet.
    looked: Option<Looked>,
}

/// What a table would come to.
struct Looked {
    /// `3 rules change, 2 stay as they are, 1 row is refused`.
    sentence: String,
    /// What happens to which rule, and to what of it.
    changes: Vec<(&'static str, String, String)>,
    /// Line and reason.
    refused: Vec<(String, String)>,
    may_import: bool,
}

/// `GET …/prices/import`.
async fn form(State(web): State<Web>, place: Place<Configure>) -> Result<Response, Refusal> {
    let stock = Stock::read(&web, &place).await?;
    shown(&web, &place, &stock, &Sent::default(), None).await
}

/// `POST …/prices/import`: looked at, and once `sure` is sent along, imported.
async fn act(State(web): State<Web>, place: Place<Configure>, Form(sent): Form<Sent>) -> Result<Response, Refusal> {
    let (stock, tenant) = (Stock::read(&web, &place).await?, place.whose().tenant);
    let table = read(&stock, sent.get("rows"));
    // Looked at just now, in what the button stands under. Meanwhile another may have become wrong: it is shown then.
    if sent.is_on("sure") && table.refused.is_empty() {
        match web.engine.import_price_rules(tenant, &table, &place.by(sent.get("note"))).await {
            Ok(_) => return Ok(see_other(&place.at("prices?said=imported"))),
            Err(ConfigurationError::Problems(_)) => {}
            Err(ConfigurationError::Engine(error)) => return Err(error.into()),
            Err(_) => return Err(Refusal::NotFound),
        }
    }
    let preview = match web.engine.preview_price_rules(tenant, &table).await {
        Ok(preview) => preview,
        Err(ConfigurationError::Engine(error)) => return Err(error.into()),
        Err(_) => return Err(Refusal::NotFound),
    };
    shown(&web, &place, &stock, &sent, Some(looked(preview))).await
}

/// The table. Rules of the other mode's connections are its own pages' matter.
fn read(stock: &Stock, text: &str) -> PriceTable {
    let mut table = PriceTable::read(text);
    let known: BTreeSet<&str> = stock.connections.iter().map(|row| row.code.as_str()).collect();
    let is_here = |rule: &(usize, _)| known.contains(connection_of(rule));
    let (here, elsewhere): (Vec<_>, Vec<_>) = std::mem::take(&mut table.rules).into_iter().partition(is_here);
    table.rules = here;
    for rule in elsewhere {
        let message = format!("there is no connection `{}` in this mode", connection_of(&rule));
        table.refuse(rule.0, Some("connection"), message);
    }
    table
}

fn connection_of((_, rule): &(usize, engine::configuration::PriceRuleInput)) -> &str {
    &rule.connection
}

fn looked(preview: TablePreview) -> Looked {
    let of = |action: Action| preview.changes.iter().filter(|change| change.action == action).count();
    let (new, changed, same) = (of(Action::Created), of(Action::Changed), of(Action::Unchanged));
    let mut parts = vec![
        counted(new, "rule is new", "rules are new"),
        counted(changed, "changes", "change"),
        counted(same, "stays as it is", "stay as they are"),
    ];
    if !preview.refused.is_empty() {
        parts.push(counted(preview.refused.len(), "row is refused", "rows are refused"));
    }
    let line = |change: &ConfigurationChange| {
        let word = if change.action == Action::Created { "new" } else { "changes" };
        (word, change.name.clone(), change.details.join(", "))
    };
    let refused = preview.refused.iter().map(|problem| {
        let line = problem.line.map_or_else(String::new, |line| line.to_string());
        let field = problem.field.map(|field| format!("{field}: ")).unwrap_or_default();
        (line, capitalised(&format!("{field}{}", problem.message)))
    });
    Looked {
        sentence: format!("{}.", parts.join(", ")),
        changes: preview.changes.iter().filter(|change| change.action.is_change()).map(line).collect(),
        may_import: preview.refused.is_empty() && new + changed > 0,
        refused: refused.collect(),
    }
}

async fn shown(
    web: &Web,
    place: &Place<Configure>,
    stock: &Stock,
    sent: &Sent,
    looked: Option<Looked>,
) -> Result<Response, Refusal> {
    page(&ImportPage {
        shell: Shell::new(web, place, "prices", "Import price rules").await?,
        back: place.at("prices"),
        columns: PRICE_COLUMNS.join(","),
        connection: stock.connections.first().map_or_else(|| "stripe".to_owned(), |row| row.code.clone()),
        text: sent.get("rows").to_owned(),
        note: sent.get("note").to_owned(),
        looked,
    })
}
