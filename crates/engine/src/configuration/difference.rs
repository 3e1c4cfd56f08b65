//! What follows from what is there and what is asked for. Pure: it reads nothing and writes nothing.

mod access;
mod alerts;
mod catalogue;
mod webhooks;

use std::collections::{BTreeMap, BTreeSet};

use domain::{Entropy, id::uuid_v7};
use jiff::Timestamp;
use uuid::Uuid;

use super::{
    Problem,
    check::Wrong,
    input::{Entry, Unnamed, Wanted},
    report::{Action, ConfigurationChange, Step, What},
    state::Current,
};

/// Where new ids and times come from.
pub(super) struct Making<'a> {
    pub(super) now: Timestamp,
    pub(super) entropy: &'a mut dyn Entropy,
    /// Who makes it, as the audit log names them.
    pub(super) actor: &'a str,
}

impl Making<'_> {
    fn id(&mut self) -> Uuid {
        uuid_v7(self.now, self.entropy)
    }

    fn at(&self) -> i64 {
        self.now.as_microsecond()
    }
}

/// Compares, and says everything that is to be written, in an order in which it can be, or everything that is wrong.
pub(super) fn difference<'a>(
    current: &'a Current,
    wanted: &'a Wanted,
    making: Making<'a>,
) -> Result<Vec<ConfigurationChange>, Vec<Problem>> {
    let mut draft = Draft::new(current, wanted, making);
    draft.tenant(wanted.tenant_name.as_deref());
    draft.deliveries_kept(wanted.deliveries_kept_days);
    for entry in &wanted.products {
        draft.product(entry);
    }
    for entry in &wanted.plans {
        draft.plan(entry);
    }
    for entry in &wanted.connections {
        draft.connection(entry);
    }
    for entry in &wanted.price_rules {
        draft.price_rule(entry);
    }
    for id in &wanted.removed_rules {
        draft.remove_rule(*id);
    }
    for entry in &wanted.api_keys {
        draft.api_key(entry);
    }
    for entry in &wanted.webhook_endpoints {
        draft.webhook_endpoint(entry);
    }
    for id in &wanted.removed_endpoints {
        draft.remove_endpoint(*id);
    }
    for entry in &wanted.alerts {
        draft.alert(entry);
    }
    for id in &wanted.removed_alerts {
        draft.remove_alert(*id);
    }
    draft.not_named();
    match draft.problems.is_empty() {
        true => Ok(draft.changes),
        false => Err(draft.problems),
    }
}

/// The changes so far, and what the vendor's codes name once they are made.
struct Draft<'a> {
    current: &'a Current,
    wanted: &'a Wanted,
    making: Making<'a>,
    changes: Vec<ConfigurationChange>,
    problems: Vec<Problem>,
    products: BTreeMap<String, Uuid>,
    plans: BTreeMap<String, Uuid>,
    /// The products of the plans that were asked for so far.
    products_of_plans: BTreeMap<String, Uuid>,
    connections: BTreeMap<String, Uuid>,
    /// What was met already, so that nothing is asked for twice.
    met: BTreeSet<(&'static str, String)>,
    /// The rules that are asked for, by id.
    rules: BTreeSet<Uuid>,
    /// The webhook secrets of each provider's connections.
    webhook_secrets: BTreeMap<(String, String), String>,
}

impl<'a> Draft<'a> {
    fn new(current: &'a Current, wanted: &'a Wanted, making: Making<'a>) -> Self {
        Self {
            current,
            wanted,
            making,
            changes: Vec::new(),
            problems: Vec::new(),
            products: current.products.iter().map(|(code, row)| (code.clone(), row.id)).collect(),
            plans: current.plans.iter().map(|(code, row)| (code.clone(), row.id)).collect(),
            products_of_plans: BTreeMap::new(),
            connections: current
                .connections
                .iter()
                .map(|(code, connection)| (code.clone(), connection.row.id))
                .collect(),
            met: BTreeSet::new(),
            rules: BTreeSet::new(),
            webhook_secrets: access::webhook_secrets(current, wanted),
        }
    }

    fn tenant(&mut self, name: Option<&str>) {
        let tenant = &self.current.tenant;
        let Some(name) = name.filter(|name| *name != tenant.name) else { return };
        if name.trim().is_empty() {
            self.problems.push(Problem {
                line: None,
                subject: "tenant".to_owned(),
                field: Some("name"),
                message: "a name is not empty".to_owned(),
            });
            return;
        }
        let step = Step::RenameTenant(domain::id::TenantId(tenant.id), name.to_owned());
        let details = vec![format!("name {name}")];
        self.change(What::Tenant, &tenant.slug, Action::Changed, details, Some(step));
    }

    /// Notes what is wrong with a thing by itself, and whether it is asked for twice. True: it can be compared.
    fn is_sound<T>(&mut self, entry: &Entry<T>, what: What, name: &str, wrong: Vec<Wrong>) -> bool {
        let mut sound = wrong.is_empty();
        for (field, message) in wrong {
            self.wrong(entry, what, name, Some(field), message);
        }
        if !self.met.insert((what.as_str(), name.to_owned())) {
            self.wrong(entry, what, name, None, "it is named twice");
            sound = false;
        }
        sound
    }

    fn wrong<T>(
        &mut self,
        entry: &Entry<T>,
        what: What,
        name: &str,
        field: Option<&'static str>,
        message: impl Into<String>,
    ) {
        self.problems.push(Problem {
            line: entry.line,
            subject: format!("{what} {}", quoted(name)),
            field,
            message: message.into(),
        });
    }

    /// A thing that is there is changed where anything of it differs.
    fn compared(&mut self, what: What, name: &str, is_new: bool, details: Vec<String>, step: Step) {
        let action = match (is_new, details.is_empty()) {
            (true, _) => Action::Created,
            (false, true) => Action::Unchanged,
            (false, false) => Action::Changed,
        };
        self.change(what, name, action, details, Some(step));
    }

    fn change(&mut self, what: What, name: &str, action: Action, details: Vec<String>, step: Option<Step>) {
        let id = step.as_ref().map(Step::subject);
        let step = step.filter(|_| action.is_change());
        self.changes.push(ConfigurationChange { what, name: quoted(name), id, action, details, secret: None, step });
    }

    /// What is there and was not asked for.
    fn not_named(&mut self) {
        let is_pruned = match self.wanted.unnamed {
            Unnamed::Ignored => return,
            Unnamed::Told => false,
            Unnamed::Pruned => true,
        };
        self.unnamed_rules(is_pruned);
        self.unnamed_api_keys(is_pruned);
        self.unnamed_endpoints(is_pruned);
        self.unnamed_alerts(is_pruned);
        if is_pruned {
            let current = self.current;
            self.kept(What::Product, current.products.keys());
            self.kept(What::Plan, current.plans.keys());
            self.kept(What::Connection, current.own_connections());
        }
    }

    fn kept(&mut self, what: What, codes: impl Iterator<Item = &'a String>) {
        for code in codes {
            if !self.met.contains(&(what.as_str(), code.clone())) {
                let why = vec![format!("not in the file; a {what} is never deleted, since licenses may stand on it")];
                self.change(what, code, Action::Kept, why, None);
            }
        }
    }
}

impl Current {
    /// The connections that a vendor has made.
    fn own_connections(&self) -> impl Iterator<Item = &String> {
        let own = |(_, connection): &(&String, &super::state::CurrentConnection)| {
            connection.row.provider != providers::manual::SLUG
        };
        self.connections.iter().filter(own).map(|(code, _)| code)
    }
}

/// A code in quotation marks. What is a phrase already stays one.
fn quoted(name: &str) -> String {
    if name.contains('`') { name.to_owned() } else { format!("`{name}`") }
}
