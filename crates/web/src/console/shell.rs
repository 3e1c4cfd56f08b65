//! What stands around every page.

use std::borrow::Cow;

use askama::Template;
use axum::response::{Html, IntoResponse, Response};

use store::rows;

use super::{assets, list::address, place::Place, refusal::Refusal};
use crate::Web;

/// One entry of the navigation.
pub(crate) struct Entry {
    pub(crate) path: String,
    pub(crate) name: &'static str,
    pub(crate) icon: &'static str,
    pub(crate) is_here: bool,
}

impl Entry {
    /// The key that leads there after `g`.
    pub(crate) fn key(&self) -> &'static str {
        match self.name {
            "E-mail" => "e",
            "Needs attention" => "a",
            "Home" => "h",
            "Licenses" => "l",
            "Customers" => "c",
            "Orders" => "o",
            "Inbound events" => "i",
            "Deliveries" => "d",
            _ => "",
        }
    }
}

/// A part of the navigation.
pub(crate) struct Group {
    pub(crate) name: &'static str,
    pub(crate) entries: Vec<Entry>,
}

/// What stands around a page.
pub(crate) struct Shell {
    pub(crate) title: String,
    pub(crate) tenant: String,
    pub(crate) home: String,
    pub(crate) livemode: bool,
    /// The same page in the other mode, as near as can be.
    pub(crate) other_mode: String,
    pub(crate) groups: Vec<Group>,
    /// Address, name, and whether it is this one.
    pub(crate) tenants: Vec<(String, String, bool)>,
    /// The products to choose from, the same way; none: there is nothing to choose.
    pub(crate) products: Vec<(String, String, bool)>,
    /// The product that alone is shown, and the address of this page with all of them.
    pub(crate) product: Option<(String, String)>,
    /// How many items need a person.
    pub(crate) attention: u64,
    pub(crate) member: String,
    pub(crate) role: &'static str,
    /// What was just done.
    pub(crate) said: Option<Cow<'static, str>>,
    /// Where one goes on after that: address and words.
    pub(crate) next: Option<(String, &'static str)>,
    pub(crate) query: String,
    pub(crate) styles: &'static str,
    pub(crate) script: &'static str,
    /// Where the page hears that something on it has changed.
    pub(crate) stream: Option<String>,
    /// In how many milliseconds the page looks again by itself at something that goes on.
    pub(crate) again: Option<u32>,
    /// The script that draws parts of a page anew.
    pub(crate) live: &'static str,
}

/// Path, name, icon.
type Link = (&'static str, &'static str, &'static str);

/// What the navigation leads to: path, name, icon.
const GROUPS: [(&str, &[Link]); 4] = [
    ("", &[("", "Home", "home"), ("attention", "Needs attention", "bell")]),
    (
        "Sales",
        &[("licenses", "Licenses", "key"), ("customers", "Customers", "people"), ("orders", "Orders", "receipt")],
    ),
    (
        "Pipeline",
        &[
            ("inbound", "Inbound events", "in"),
            ("deliveries", "Deliveries", "out"),
            ("mails", "E-mail", "mail"),
            ("reconcile", "Reconcile", "scales"),
            ("audit", "Audit log", "book"),
        ],
    ),
    (
        "Set-up",
        &[
            ("products", "Products and plans", "box"),
            ("prices", "Prices", "tag"),
            ("settings", "Settings", "gear"),
            ("developers", "Developers", "code"),
            ("simulator", "Simulator", "play"),
            ("team", "Team", "people"),
        ],
    ),
];

/// The sections whose pages can be about one product.
const KNOW_PRODUCTS: [&str; 4] = ["licenses", "customers", "orders", "products"];

/// What can have just been done, by the word in the address.
const SAID: &[(&str, &str)] = &[
    ("frozen", "The license is frozen."),
    ("unfrozen", "The license works again."),
    ("revoked", "The license is revoked."),
    ("reinstated", "The revocation is undone; the money decides again."),
    ("extended", "The license lasts longer now."),
    ("plan_changed", "The license has another plan now."),
    ("limits_set", "The license has limits of its own now."),
    ("limits_cleared", "The license goes by the limits of its plan again."),
    ("key_changed", "The license has a new key, and a mail brings it to the buyer."),
    ("key_changed_silently", "The license has a new key. Nobody was mailed it."),
    ("transferred", "The order is somebody else's now, and a mail brings them the new key."),
    ("transferred_silently", "The order is somebody else's now. Nobody was mailed the new key."),
    ("resent", "The mail is on its way."),
    ("caught", "It is caught and held: no relay is configured that would take it."),
    ("corrected", "The address is corrected, and the mail with the key is written to it."),
    ("device_freed", "The device is free; its app notices with its next check, or when its lease ends."),
    ("noted", "The note stands in the timeline."),
    ("tagged", "The tags are changed."),
    ("import_discarded", "The file is forgotten; nothing was imported."),
    ("view_deleted", "The view is gone; its licenses are as they were."),
    ("dismissed", "The item is laid aside."),
    ("approved", "The order is approved: its licenses are issued."),
    ("rejected", "The order is rejected: it gets no licenses."),
    ("saved", "Saved."),
    ("brand_saved", "Saved. Mails that are sent from now on have it."),
    ("template_saved", "This version is used from now on."),
    ("template_removed", "None of your versions is used any more; they stay, and can be used again."),
    ("mapped", "The rule is saved. Whatever waited for it is worked on now."),
    ("connected", "It is connected. Send a test event from there: it shows up here as the first signed one."),
    ("role_changed", "The role is changed."),
    ("member_removed", "They are no member any more."),
    ("withdrawn", "The invitation is withdrawn: its link opens nothing any more."),
    ("key_revoked", "The key opens nothing any more."),
    ("paused", "The address is not called any more; its events are held."),
    ("enabled", "The address is called again."),
    ("released", "What was held is on its way."),
    ("recovering", "It goes on in the background; this page shows how far it has come."),
    ("sent", "It is on its way. Look again in a moment."),
    ("rule_removed", "The rule is gone."),
    ("imported", "The rules are imported. Whatever waited for one of them is worked on now."),
    ("reading", "The lists are being read; this page shows how far."),
    ("first_plan", "The plan is made. Watch a purchase become a license of it:"),
    ("played_already", "One thing is played at a time: this is it. Begin the other one when it has ended."),
    ("provider_removed", "Members sign in with their passwords. Whom the provider had let in is signed out."),
    ("key_rotated", "The new key is published. It signs from the moment that stands beside it."),
    ("key_withdrawn", "The key is published no more."),
    ("signed_out", "They are signed out there."),
    ("ignored", "The event is set aside."),
    ("replayed", "The event is worked on again."),
    ("backed_up", "The backup is made."),
    ("backing_up", "The backup is being made; it goes on in the background."),
    ("leaves_again", "Everything leaves again."),
    ("merged", "They are one customer now; the page of the other one leads here."),
    ("erased", "Their data is erased. Their licenses go on working."),
];

/// Where one goes on after that: the word in the address, the page, and what the link says.
const NEXT: &[(&str, &str, &str)] = &[("first_plan", "simulator", "Simulate a purchase")];

impl Shell {
    /// What stands around a page of the section with this path.
    pub(crate) async fn new<A>(
        web: &Web,
        place: &Place<A>,
        section: &str,
        title: impl Into<String>,
    ) -> Result<Self, Refusal> {
        let products = web.engine.store.products(place.whose().tenant).await?;
        let product = products.iter().find(|product| product.code == place.asked("product"));
        let with_product = |path: String, section: &str| match product {
            Some(product) if KNOW_PRODUCTS.contains(&section) => address(&path, &[("product", &product.code)]),
            _ => path,
        };
        let entry = |&(path, name, icon): &(&'static str, &'static str, &'static str)| Entry {
            path: with_product(place.at(path), path),
            name,
            icon,
            is_here: path == section || section.split_once('/').is_some_and(|(above, _)| above == path),
        };
        let group = |&(name, entries): &(&'static str, &'static [(&'static str, &'static str, &'static str)])| Group {
            name,
            entries: entries.iter().map(entry).collect(),
        };
        let word = place.asked("said");
        let said = SAID.iter().find(|(known, _)| *known == word).map(|(_, text)| Cow::Borrowed(*text));
        let next = NEXT.iter().find(|(known, ..)| *known == word).map(|(_, path, text)| (place.at(path), *text));
        let tenants = place.tenants.iter();
        let tenant = |(slug, name): &(String, String)| {
            (super::place::at(slug, place.livemode, ""), name.clone(), *slug == place.tenant.slug)
        };
        Ok(Self {
            title: title.into(),
            tenant: place.tenant.name.clone(),
            home: place.at(""),
            livemode: place.livemode,
            // A row is of one mode, so that the other mode is entered at the list.
            other_mode: with_product(super::place::at(&place.tenant.slug, !place.livemode, section), section),
            groups: GROUPS.iter().map(group).collect(),
            tenants: tenants.map(tenant).collect(),
            products: choices(place, section, &products),
            product: product.map(|product| (product.name.clone(), place.here(section, ""))),
            attention: web.engine.store.count_attention(place.whose()).await?,
            member: place.who.member.email.clone(),
            role: place.role.as_str(),
            said,
            next,
            query: String::new(),
            styles: assets::styles(),
            script: assets::script(),
            stream: None,
            again: None,
            live: assets::live(),
        })
    }

    /// The same around a page that looks again after so many milliseconds; none: it does not.
    pub(crate) fn looks_again(self, again: Option<u32>) -> Self {
        Self { again, ..self }
    }

    /// The same around a page whose parts are drawn anew when something has changed. The marks are read before anything that
    /// the page shows, so that it never takes for seen what it does not show.
    pub(crate) async fn live<A>(
        web: &Web,
        place: &Place<A>,
        section: &str,
        title: impl Into<String>,
    ) -> Result<Self, Refusal> {
        let marks = web.engine.marks(place.whose()).await?;
        let address = format!("{}?seen={marks}", place.at("live"));
        Ok(Self { stream: Some(address), ..Self::new(web, place, section, title).await? })
    }
}

/// The products to choose from, each with where its pages are: this list about it alone, otherwise its licenses.
fn choices<A>(place: &Place<A>, section: &str, products: &[rows::Product]) -> Vec<(String, String, bool)> {
    if products.len() < 2 {
        return Vec::new();
    }
    let here = place.asked("product");
    let section = if KNOW_PRODUCTS.contains(&section) { section } else { "licenses" };
    let all = (place.here(section, ""), "All products".to_owned(), !products.iter().any(|row| row.code == here));
    let choice = |row: &rows::Product| (place.here(section, &row.code), row.name.clone(), row.code == here);
    std::iter::once(all).chain(products.iter().map(choice)).collect()
}

/// A page.
pub(crate) fn page(template: &impl Template) -> Result<Response, Refusal> {
    Ok(Html(template.render()?).into_response())
}
