//! The console: pages for the people of a vendor, made on the server. Every action is a plain form; what scripts add is
//! comfort.

mod account;
mod action;
mod assets;
mod attention;
mod audit;
mod browser;
mod customers;
mod entrance;
mod entries;
mod home;
mod inbound;
mod license;
mod license_actions;
mod licenses;
mod list;
mod mails;
mod order;
mod orders;
mod place;
mod refusal;
mod replay;
mod sale;
mod search;
mod shell;
mod timeline;
mod words;

use axum::{
    Router,
    middleware::{from_fn, from_fn_with_state},
    routing::{get, post},
};

use self::refusal::Refusal;
use crate::Web;

/// All pages of the console. Where they stand is also where they are looked for: `/console/TENANT/MODE/…`.
pub(crate) fn routes(web: &Web) -> Router<Web> {
    let entrance = Router::new()
        .route("/", get(entrance::begin))
        .route("/console", get(entrance::begin))
        .route("/setup/{link}", get(entrance::set_up_form).post(entrance::set_up))
        .route("/enter/{browser}", get(entrance::enter_demo))
        .route("/join/{link}", get(entrance::join_form).post(entrance::join))
        .route("/sign-in", get(entrance::sign_in_form).post(entrance::sign_in))
        .route("/sign-in/code", get(entrance::code_form).post(entrance::code))
        .route("/sign-out", post(entrance::sign_out))
        .route("/confirm", get(entrance::confirm_form).post(entrance::confirm));
    entrance
        .merge(account::routes())
        .merge(pages())
        .route("/console/{tenant}/{mode}/{*nothing}", get(async || Refusal::NotFound))
        .layer(from_fn(browser::own_origin_only))
        .layer(from_fn_with_state(web.clone(), browser::private_only))
        .layer(from_fn(browser::harden))
        .route("/assets/{name}", get(assets::get))
}

fn pages() -> Router<Web> {
    Router::new()
        .route("/console/{tenant}/{mode}", get(home::show))
        .route("/console/{tenant}/{mode}/search", get(search::show))
        .route("/console/{tenant}/{mode}/licenses", get(licenses::list))
        .route("/console/{tenant}/{mode}/licenses/{id}", get(license::show))
        .route("/console/{tenant}/{mode}/licenses/{id}/test", post(license::test))
        .route("/console/{tenant}/{mode}/licenses/{id}/{action}", get(license_actions::form).post(license_actions::act))
        .route("/console/{tenant}/{mode}/attention", get(attention::list))
        .route("/console/{tenant}/{mode}/attention/{id}/dismiss", get(attention::dismiss_form).post(attention::dismiss))
        .route("/console/{tenant}/{mode}/inbound", get(inbound::list))
        .route("/console/{tenant}/{mode}/inbound/{id}", get(inbound::show))
        .route("/console/{tenant}/{mode}/inbound/{id}/replay", get(replay::form).post(replay::act))
        .route("/console/{tenant}/{mode}/customers", get(customers::list))
        .route("/console/{tenant}/{mode}/customers/{id}", get(customers::show))
        .route("/console/{tenant}/{mode}/orders", get(orders::list))
        .route("/console/{tenant}/{mode}/orders/{id}", get(order::show))
        .route("/console/{tenant}/{mode}/orders/{id}/{action}", get(order::form).post(order::act))
        .route("/console/{tenant}/{mode}/mails", get(mails::list))
        .route("/console/{tenant}/{mode}/mails/{id}", get(mails::show))
        .route("/console/{tenant}/{mode}/mails/{id}/html", get(mails::html))
        .route("/console/{tenant}/{mode}/mails/{id}/resend", get(mails::resend_form).post(mails::resend))
        .route("/console/{tenant}/{mode}/audit", get(audit::list))
}
