//! Lists of licenses that people come back to: saved under a name, for all who work for a vendor.

use axum::{
    Form, Router,
    extract::{Path, RawQuery, State},
    response::Response,
    routing::get,
};
use domain::{id::SavedViewId, member::Ability};
use engine::views::ViewError;
use store::rows::SavedView;

use super::{
    action::{Field, Question, Sent},
    browser::see_other,
    filters::{self, Filters},
    list::{Asked, address},
    place::{Place, to::Help},
    refusal::Refusal,
    tabs::Tab,
    words::sentence,
};
use crate::Web;

pub(crate) fn routes() -> Router<Web> {
    Router::new()
        .route("/console/{tenant}/{mode}/licenses/views/new", get(new_form).post(create))
        .route("/console/{tenant}/{mode}/licenses/views/{id}", get(form).post(act))
}

/// All views, and what this member can do with the one that is shown.
pub(crate) async fn tabs<A>(
    web: &Web,
    place: &Place<A>,
    filters: &Filters,
) -> Result<(Vec<Tab>, Vec<(String, &'static str)>), Refusal> {
    let (path, query) = (place.at("licenses"), query(filters));
    let views = web.engine.store.saved_views(place.whose().tenant).await?;
    let tab = |view: &SavedView| Tab {
        path: format!("{path}?{}", view.query),
        name: view.name.clone(),
        is_here: view.query == query,
    };
    let all = Tab { path: path.clone(), name: "All".to_owned(), is_here: query.is_empty() };
    let here = views.iter().find(|view| view.query == query);
    let link = |rest: &str| place.at(&format!("licenses/views/{rest}"));
    let actions = match here {
        _ if !place.role.may(Ability::Help) => Vec::new(),
        Some(view) => {
            let id = SavedViewId(view.id);
            vec![(link(&format!("{id}?do=rename")), "Rename"), (link(&format!("{id}?do=delete")), "Delete")]
        }
        None if filters.is_some() => vec![(format!("{}?{query}", link("new")), "Save as a view")],
        None => Vec::new(),
    };
    Ok((std::iter::once(all).chain(views.iter().map(tab)).collect(), actions))
}

/// What a list is asked for, always written in the same way.
fn query(filters: &Filters) -> String {
    address("", &filters.pairs()).trim_start_matches('?').to_owned()
}

/// `GET …/licenses/views/new`, with what the list is asked for.
pub(crate) async fn new_form(State(web): State<Web>, place: Place<Help>) -> Result<Response, Refusal> {
    asked_name(&web, &place, None, "", None).await
}

/// `POST …/licenses/views/new`.
pub(crate) async fn create(
    State(web): State<Web>,
    place: Place<Help>,
    axum::extract::Query(asked): axum::extract::Query<Asked>,
    Form(sent): Form<Sent>,
) -> Result<Response, Refusal> {
    let filters = filters::read(&web, &place, &place.at("licenses"), &asked, web.engine.now()).await?;
    let (query, by) = (query(&filters), place.by(sent.get("note")));
    match web.engine.save_view(place.whose().tenant, sent.get("name"), &query, &by).await {
        Ok(()) => Ok(see_other(&place.at(&format!("licenses?{query}&said=saved")))),
        Err(error) => asked_name(&web, &place, None, sent.get("name"), Some(wrong(error)?)).await,
    }
}

async fn asked_name(
    web: &Web,
    place: &Place<Help>,
    view: Option<&SavedView>,
    name: &str,
    wrong: Option<String>,
) -> Result<Response, Refusal> {
    let (title, button) = if view.is_some() { ("Rename the view", "Rename it") } else { ("Save as a view", "Save it") };
    let question = Question::new(title, button, place.at("licenses"))
        .says("A view is this list as it is filtered now. It stands above the licenses for everybody who works here.")
        .asks(Field::text("name", "Name", name).needed().hint("Up to 40 characters, such as “Trials that end”."))
        .asks(Field::reason());
    question.page(web, place, "licenses", wrong).await
}

/// `GET …/licenses/views/{id}?do=rename` or `delete`.
pub(crate) async fn form(
    State(web): State<Web>,
    place: Place<Help>,
    Path((_, _, id)): Path<(String, String, String)>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let (_, view) = view(&web, &place, &id).await?;
    if is_rename(query.as_deref()) {
        return asked_name(&web, &place, Some(&view), &view.name, None).await;
    }
    let question = Question::new(format!("Delete the view “{}”", view.name), "Delete it", place.at("licenses"))
        .dangerous()
        .says("It stands above the list for nobody any more. Its licenses stay as they are.")
        .asks(Field::reason());
    question.page(&web, &place, "licenses", None).await
}

/// `POST …/licenses/views/{id}?do=rename` or `delete`.
pub(crate) async fn act(
    State(web): State<Web>,
    place: Place<Help>,
    Path((_, _, id)): Path<(String, String, String)>,
    RawQuery(query): RawQuery,
    Form(sent): Form<Sent>,
) -> Result<Response, Refusal> {
    let (id, view) = view(&web, &place, &id).await?;
    let (tenant, by) = (place.whose().tenant, place.by(sent.get("note")));
    if !is_rename(query.as_deref()) {
        web.engine.delete_view(tenant, id, &by).await.or_else(|error| wrong(error).map(drop))?;
        return Ok(see_other(&place.at("licenses?said=view_deleted")));
    }
    match web.engine.rename_view(tenant, id, sent.get("name"), &by).await {
        Ok(()) => Ok(see_other(&place.at(&format!("licenses?{}&said=saved", view.query)))),
        Err(error) => asked_name(&web, &place, Some(&view), sent.get("name"), Some(wrong(error)?)).await,
    }
}

fn is_rename(query: Option<&str>) -> bool {
    query == Some("do=rename")
}

async fn view(web: &Web, place: &Place<Help>, id: &str) -> Result<(SavedViewId, SavedView), Refusal> {
    let id: SavedViewId = id.parse().map_err(|_| Refusal::NotFound)?;
    let views = web.engine.store.saved_views(place.whose().tenant).await?;
    let view = views.into_iter().find(|view| view.id == id.0).ok_or(Refusal::NotFound)?;
    Ok((id, view))
}

/// What was wrong, where a person can mend it.
fn wrong(error: ViewError) -> Result<String, Refusal> {
    match error {
        ViewError::Engine(error) => Err(error.into()),
        ViewError::None => Err(Refusal::NotFound),
        other => Ok(sentence(&other)),
    }
}
