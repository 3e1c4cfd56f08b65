//! Lists as files: all that a list finds with its filter, written while it is read.

mod rows;
mod text;

use axum::{
    Form, Router,
    body::Body,
    extract::{Query, State},
    http::header,
    response::{IntoResponse, Response},
    routing::get,
};
use futures::stream;
use store::lists::{AuditFilter, Cursor, LicenseFilter, OrderFilter};

use self::text::Format;
use super::{
    action::{Field, Question, Sent},
    audit,
    customers::{self, Meant},
    filters,
    list::{Asked, address},
    orders,
    place::{Place, to::Decide},
    refusal::Refusal,
};
use crate::Web;

pub(crate) fn routes() -> Router<Web> {
    Router::new()
        .route("/console/{tenant}/{mode}/licenses/export", get(ask_licenses).post(licenses))
        .route("/console/{tenant}/{mode}/customers/export", get(ask_customers).post(customers))
        .route("/console/{tenant}/{mode}/orders/export", get(ask_orders).post(orders))
        .route("/console/{tenant}/{mode}/audit/export", get(ask_audit).post(audit))
        .route("/console/{tenant}/{mode}/prices/export", get(ask_prices).post(prices))
}

/// Which rows are wanted.
enum Wanted {
    Licenses(LicenseFilter),
    Customers(Meant),
    Orders(OrderFilter),
    Audit(AuditFilter),
    Prices,
}

impl Wanted {
    /// The list that it is a part of, as addresses and the audit log have it.
    const fn list(&self) -> &'static str {
        match self {
            Self::Licenses(_) => "licenses",
            Self::Customers(..) => "customers",
            Self::Orders(_) => "orders",
            Self::Audit(_) => "audit",
            Self::Prices => "prices",
        }
    }

    /// What its rows are called.
    const fn rows(&self) -> &'static str {
        match self {
            Self::Audit(_) => "entries of the audit log",
            Self::Prices => "price rules",
            _ => self.list(),
        }
    }

    /// What a file has of each row.
    const fn says(&self) -> &'static str {
        match self {
            Self::Licenses(_) => {
                "One row for each license: state and reason, plan, devices, end, buyer, order. Keys are masked."
            }
            Self::Customers(..) => "One row for each customer: address, name, and since when.",
            Self::Orders(_) => "One row for each order: what was bought, how its money stands, the buyer, its names.",
            Self::Audit(_) => {
                "One row for each entry, the newest first: who did what and why, and the entry's link in the chain. Those of \
                 both modes are in it."
            }
            Self::Prices => {
                "One row for each rule: what it is about, what it gives, for sales of which time. Import takes the file back."
            }
        }
    }
}

/// What is asked for, and what of it counts, as an address has it.
type Asking = (Wanted, String);

async fn of_licenses(web: &Web, place: &Place<Decide>, asked: &Asked) -> Result<Asking, Refusal> {
    let filters = filters::read(web, place, &place.at("licenses"), asked, web.engine.now()).await?;
    let query = address("", &filters.pairs());
    Ok((Wanted::Licenses(filters.filter), query))
}

async fn of_customers(web: &Web, place: &Place<Decide>, asked: &Asked) -> Result<Asking, Refusal> {
    let meant = customers::meant(web, place, asked).await?;
    Ok((Wanted::Customers(meant), address("", &asked.kept(&customers::NAMES))))
}

async fn of_orders(web: &Web, place: &Place<Decide>, asked: &Asked) -> Result<Asking, Refusal> {
    let filter = orders::filter(web, place, asked).await?;
    Ok((Wanted::Orders(filter), address("", &asked.kept(&orders::NAMES))))
}

fn of_audit(asked: &audit::Wanted) -> Result<Asking, Refusal> {
    Ok((Wanted::Audit(asked.filter()?), asked.address("")))
}

/// `GET …/licenses/export`.
async fn ask_licenses(
    State(web): State<Web>,
    place: Place<Decide>,
    Query(asked): Query<Asked>,
) -> Result<Response, Refusal> {
    ask(&web, &place, of_licenses(&web, &place, &asked).await?).await
}

/// `GET …/customers/export`.
async fn ask_customers(
    State(web): State<Web>,
    place: Place<Decide>,
    Query(asked): Query<Asked>,
) -> Result<Response, Refusal> {
    ask(&web, &place, of_customers(&web, &place, &asked).await?).await
}

/// `GET …/orders/export`.
async fn ask_orders(
    State(web): State<Web>,
    place: Place<Decide>,
    Query(asked): Query<Asked>,
) -> Result<Response, Refusal> {
    ask(&web, &place, of_orders(&web, &place, &asked).await?).await
}

/// `GET …/audit/export`.
async fn ask_audit(
    State(web): State<Web>,
    place: Place<Decide>,
    Query(asked): Query<audit::Wanted>,
) -> Result<Response, Refusal> {
    ask(&web, &place, of_audit(&asked)?).await
}

async fn ask(web: &Web, place: &Place<Decide>, (wanted, query): Asking) -> Result<Response, Refusal> {
    place.confirmed(web)?;
    let (list, rows) = (wanted.list(), wanted.rows());
    let mode = match wanted {
        Wanted::Audit(_) => "",
        _ if place.livemode => " in live mode",
        _ => " in test mode",
    };
    let which = match query.is_empty() {
        true => format!("All {rows} of this vendor{mode}."),
        false => format!("Only the {rows} that the list is filtered by now."),
    };
    let formats = [("csv", "CSV, for spreadsheets"), ("json", "JSON, for programs")];
    Question::new(format!("Export {rows}"), "Download", place.at(&format!("{list}{query}")))
        .says(which)
        .says(wanted.says())
        .says(match wanted {
            Wanted::Prices => "That you took it along stands in the audit log.",
            _ => "Buyers' addresses are in the file. That you took it along stands in the audit log.",
        })
        .asks(Field::choice("format", "Format", formats, "csv"))
        .asks(Field::reason())
        .page(web, place, list, None)
        .await
}

/// `GET …/prices/export`.
async fn ask_prices(State(web): State<Web>, place: Place<Decide>) -> Result<Response, Refusal> {
    ask(&web, &place, (Wanted::Prices, String::new())).await
}

/// `POST …/licenses/export`.
async fn licenses(
    State(web): State<Web>,
    place: Place<Decide>,
    Query(asked): Query<Asked>,
    Form(sent): Form<Sent>,
) -> Result<Response, Refusal> {
    let asking = of_licenses(&web, &place, &asked).await?;
    file(web, place, asking, &sent).await
}

/// `POST …/customers/export`.
async fn customers(
    State(web): State<Web>,
    place: Place<Decide>,
    Query(asked): Query<Asked>,
    Form(sent): Form<Sent>,
) -> Result<Response, Refusal> {
    let asking = of_customers(&web, &place, &asked).await?;
    file(web, place, asking, &sent).await
}

/// `POST …/orders/export`.
async fn orders(
    State(web): State<Web>,
    place: Place<Decide>,
    Query(asked): Query<Asked>,
    Form(sent): Form<Sent>,
) -> Result<Response, Refusal> {
    let asking = of_orders(&web, &place, &asked).await?;
    file(web, place, asking, &sent).await
}

/// `POST …/audit/export`.
async fn audit(
    State(web): State<Web>,
    place: Place<Decide>,
    Query(asked): Query<audit::Wanted>,
    Form(sent): Form<Sent>,
) -> Result<Response, Refusal> {
    let asking = of_audit(&asked)?;
    file(web, place, asking, &sent).await
}

/// `POST …/prices/export`.
async fn prices(State(web): State<Web>, place: Place<Decide>, Form(sent): Form<Sent>) -> Result<Response, Refusal> {
    file(web, place, (Wanted::Prices, String::new()), &sent).await
}

/// A file that is being written.
struct Writing {
    web: Web,
    place: Place<Decide>,
    wanted: Wanted,
    format: Format,
    /// Behind which row it goes on.
    behind: Option<Cursor>,
    rows: u64,
    is_over: bool,
}

async fn file(web: Web, place: Place<Decide>, (wanted, query): Asking, sent: &Sent) -> Result<Response, Refusal> {
    place.confirmed(&web)?;
    let format = if sent.get("format") == "json" { Format::Json } else { Format::Csv };
    let list = wanted.list();
    web.engine.audit_export(place.whose(), list, query.trim_start_matches('?'), &place.by(sent.get("note"))).await?;
    let mode = if place.livemode { "live" } else { "test" };
    let day = web.engine.now().strftime("%Y-%m-%d");
    let name = format!("{}-{mode}-{list}-{day}.{}", place.tenant.slug, format.ending());
    let headers = [
        (header::CONTENT_TYPE, format.kind().to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
    ];
    let writing = Writing { web, place, wanted, format, behind: None, rows: 0, is_over: false };
    let text = stream::try_unfold(writing, async |mut writing: Writing| match writing.next().await {
        Ok(text) => Ok(text.map(|text| (text, writing))),
        Err(refusal) => {
            // What was sent stands already; the connection breaks, so that nobody takes a part for the whole.
            tracing::error!(?refusal, "an export broke off");
            Err(std::io::Error::other("the export broke off"))
        }
    });
    Ok((headers, Body::from_stream(text)).into_response())
}

impl Writing {
    /// The next piece of the file; none: that was all.
    async fn next(&mut self) -> Result<Option<String>, Refusal> {
        if self.is_over {
            return Ok(None);
        }
        let piece = rows::read(&self.web, &self.place, &self.wanted, self.behind).await?;
        let mut text = String::new();
        if self.rows == 0 && self.behind.is_none() {
            self.format.begin(piece.columns, &mut text);
        }
        for row in &piece.rows {
            self.format.row(piece.columns, row, self.rows == 0, &mut text);
            self.rows += 1;
        }
        self.behind = piece.behind;
        if self.behind.is_none() {
            self.is_over = true;
            self.format.end(&mut text);
        }
        Ok(Some(text))
    }
}
