//! The console: pages for the people of a vendor, made on the server. Every action is a plain form; what scripts add is
//! comfort.

mod about;
mod account;
mod action;
mod assets;
mod attention;
mod audit;
mod backups;
mod billing;
mod billing_events;
mod brand;
mod browser;
mod changes;
mod chart;
mod checklist;
mod connect;
mod connection_actions;
mod customer;
mod customers;
mod deliveries;
mod developers;
mod endpoint_actions;
mod endpoint_figures;
mod endpoints;
mod entrance;
mod entries;
mod erase;
mod event_kinds;
mod export;
mod facts;
mod filters;
mod gallery;
mod home;
mod ignore;
mod imports;
mod inbound;
mod inbound_call;
mod integrations;
mod letters;
mod license;
mod license_actions;
mod license_keys;
mod license_terms;
mod licenses;
mod list;
mod live;
mod mails;
mod merge;
mod mistakes;
mod order;
mod orders;
mod passkeys;
mod place;
mod plan_form;
mod plans;
mod price_form;
mod price_import;
mod prices;
mod products;
mod provider_sign_in;
mod reconcile;
mod refusal;
mod replay;
mod resend;
mod retention;
mod sale;
mod search;
mod security;
mod sender;
mod server;
mod settings;
mod shell;
mod sign_in_settings;
mod signing_keys;
mod simulator;
mod site;
mod tabs;
mod team;
mod template_editor;
mod template_versions;
mod templates;
mod timeline;
mod views;
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
        .route("/join/{link}/as-member", post(entrance::join_as_member))
        .route("/sign-in", get(entrance::sign_in_form).post(entrance::sign_in))
        .route("/sign-in/code", get(entrance::code_form).post(entrance::code))
        .route("/sign-out", post(entrance::sign_out))
        .route("/confirm", get(entrance::confirm_form).post(entrance::confirm));
    entrance
        .merge(about::routes())
        .merge(account::routes())
        .merge(audit::routes())
        .merge(backups::routes())
        .merge(erase::routes())
        .merge(merge::routes())
        .merge(ignore::routes())
        .merge(integrations::routes())
        .merge(reconcile::routes())
        .merge(server::routes())
        .merge(simulator::routes())
        .merge(passkeys::routes())
        .merge(price_import::routes())
        .merge(provider_sign_in::routes())
        .merge(retention::routes())
        .merge(security::routes())
        .merge(sign_in_settings::routes())
        .merge(signing_keys::routes())
        .merge(pages())
        .merge(developers::routes())
        .merge(event_kinds::routes())
        .route("/dev/ui", get(gallery::show))
        .route("/console/{tenant}/{mode}/{*nothing}", get(async || Refusal::NotFound))
        .layer(from_fn(browser::own_origin_only))
        .layer(from_fn_with_state(web.clone(), browser::private_only))
        .layer(from_fn(browser::harden))
        .route("/assets/{name}", get(assets::get))
}

fn pages() -> Router<Web> {
    let lists = views::routes().merge(changes::routes()).merge(imports::routes()).merge(export::routes());
    sales().merge(set_up()).merge(lists).merge(mails::routes()).merge(brand::routes()).merge(live::routes())
}

/// What is set up: what is sold, where the money comes from, and who is told.
fn set_up() -> Router<Web> {
    Router::new()
        .route("/console/{tenant}/{mode}/prices", get(prices::list))
        .route("/console/{tenant}/{mode}/prices/map", get(price_form::form).post(price_form::save))
        .route("/console/{tenant}/{mode}/prices/{id}/remove", get(prices::remove_form).post(prices::remove))
        .route("/console/{tenant}/{mode}/settings", get(settings::show))
        .route("/console/{tenant}/{mode}/settings/webhooks", get(endpoints::list))
        .route(
            "/console/{tenant}/{mode}/settings/webhooks/new",
            get(endpoint_actions::new_form).post(endpoint_actions::create),
        )
        .route(
            "/console/{tenant}/{mode}/settings/webhooks/{id}/{action}",
            get(endpoint_actions::form).post(endpoint_actions::act),
        )
        .route("/console/{tenant}/{mode}/deliveries", get(deliveries::list))
        .route("/console/{tenant}/{mode}/deliveries/{id}", get(deliveries::show))
        .route(
            "/console/{tenant}/{mode}/deliveries/{id}/redeliver",
            get(deliveries::redeliver_form).post(deliveries::redeliver),
        )
        .route("/console/{tenant}/{mode}/team", get(team::list))
        .route("/console/{tenant}/{mode}/team/invite", get(team::invite_form).post(team::invite))
        .route("/console/{tenant}/{mode}/team/{id}/{action}", get(team::form).post(team::act))
        .route("/console/{tenant}/{mode}/team/invitations/{id}/withdraw", get(team::withdraw_form).post(team::withdraw))
        .route("/console/{tenant}/{mode}/settings/billing", get(billing::list))
        .route("/console/{tenant}/{mode}/settings/billing/connect", get(connect::choose))
        .route(
            "/console/{tenant}/{mode}/settings/billing/connect/{provider}",
            get(connect::form).post(connect::connect),
        )
        .route(
            "/console/{tenant}/{mode}/settings/billing/{id}/{action}",
            get(connection_actions::form).post(connection_actions::act),
        )
        .route("/console/{tenant}/{mode}/products", get(products::list))
        .route("/console/{tenant}/{mode}/products/new", get(products::new_form).post(products::create))
        .route("/console/{tenant}/{mode}/products/{code}/edit", get(products::edit_form).post(products::edit))
        .route("/console/{tenant}/{mode}/products/{code}/new-plan", get(plan_form::new_form).post(plan_form::create))
        .route("/console/{tenant}/{mode}/plans/{code}", get(plans::show))
        .route("/console/{tenant}/{mode}/plans/{code}/edit", get(plan_form::edit_form).post(plan_form::edit))
}

/// What is sold, and to whom.
fn sales() -> Router<Web> {
    Router::new()
        .route("/console/{tenant}/{mode}", get(home::show))
        .route("/console/{tenant}/{mode}/search", get(search::show))
        .route("/console/{tenant}/{mode}/licenses", get(licenses::list))
        .route("/console/{tenant}/{mode}/licenses/{id}", get(license::show))
        .route("/console/{tenant}/{mode}/licenses/{id}/test", post(license::test))
        .route("/console/{tenant}/{mode}/licenses/{id}/free", post(license_actions::free))
        .route("/console/{tenant}/{mode}/licenses/{id}/{action}", get(license_actions::form).post(license_actions::act))
        .route("/console/{tenant}/{mode}/attention", get(attention::list))
        .route("/console/{tenant}/{mode}/attention/{id}/dismiss", get(attention::dismiss_form).post(attention::dismiss))
        .route("/console/{tenant}/{mode}/inbound", get(inbound::list))
        .route("/console/{tenant}/{mode}/inbound/{id}", get(inbound::show))
        .route("/console/{tenant}/{mode}/inbound/{id}/replay", get(replay::form).post(replay::act))
        .route("/console/{tenant}/{mode}/customers", get(customers::list))
        .route("/console/{tenant}/{mode}/customers/{id}", get(customer::show))
        .route("/console/{tenant}/{mode}/orders", get(orders::list))
        .route("/console/{tenant}/{mode}/orders/{id}", get(order::show))
        .route("/console/{tenant}/{mode}/orders/{id}/{action}", get(order::form).post(order::act))
}
