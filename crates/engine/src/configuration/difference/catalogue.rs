//! Products, plans and price rules: what orders are decided by.

use domain::{
    decision::{Matcher, Rule, RuleGrant},
    id::{PlanId, PriceRuleId},
    plan::PlanTerms,
};
use jiff::Timestamp;
use store::{catalogue::matcher_columns, rows};

use super::{
    super::{
        check,
        input::{Entry, PlanInput, PriceRuleInput, ProductInput},
        report::{Action, Step, What},
    },
    Draft,
};

impl Draft<'_> {
    pub(super) fn product(&mut self, entry: &Entry<ProductInput>) {
        let input = &entry.item;
        if !self.is_sound(entry, What::Product, &input.code, check::product(input)) {
            return;
        }
        let before = self.current.products.get(&input.code);
        let brand = serde_json::json!(input.brand);
        let mut row = rows::Product {
            id: before.map_or_else(|| self.making.id(), |row| row.id),
            tenant_id: self.current.tenant.id,
            code: input.code.clone(),
            name: input.name.clone(),
            key_prefix: input.key_prefix.to_ascii_uppercase(),
            brand: brand.to_string(),
            created_at: before.map_or_else(|| self.making.at(), |row| row.created_at),
        };
        let mut details = Vec::new();
        if let Some(before) = before {
            // The same document may be written in another order of its fields.
            if serde_json::from_str::<serde_json::Value>(&before.brand).is_ok_and(|kept| kept == brand) {
                before.brand.clone_into(&mut row.brand);
            }
            let parts = [
                ("name", before.name != row.name),
                ("key_prefix", before.key_prefix != row.key_prefix),
                ("brand", before.brand != row.brand),
            ];
            details = changed(&parts);
        }
        self.products.insert(input.code.clone(), row.id);
        self.compared(What::Product, &input.code, before.is_none(), details, Step::Product(row));
    }

    pub(super) fn plan(&mut self, entry: &Entry<PlanInput>) {
        let input = &entry.item;
        if !self.is_sound(entry, What::Plan, &input.code, check::plan(input)) {
            return;
        }
        let Some(product) = self.products.get(&input.product).copied() else {
            let message = format!("there is no product `{}`; name it in a [[product]] first", input.product);
            return self.wrong(entry, What::Plan, &input.code, Some("product"), message);
        };
        let before = self.current.plans.get(&input.code);
        if before.is_some_and(|before| before.product_id != product) {
            let message = "a plan belongs to its product for good, since licenses stand on it; give the other product's \
                 plan another code";
            return self.wrong(entry, What::Plan, &input.code, Some("product"), message);
        }
        let smaller = input.terms.policy.downgrade_to.as_ref();
        if let Some(code) = smaller.filter(|code| !self.is_of_product(code.as_str(), product)) {
            let message =
                format!("there is no plan `{code}` of product `{}`; name it in a [[plan]] above", input.product);
            return self.wrong(entry, What::Plan, &input.code, Some("downgrade_to"), message);
        }
        self.products_of_plans.insert(input.code.clone(), product);
        let row = rows::Plan {
            id: before.map_or_else(|| self.making.id(), |row| row.id),
            version: before.map_or(1, |row| row.version + 1),
            tenant_id: self.current.tenant.id,
            product_id: product,
            code: input.code.clone(),
            name: input.name.clone(),
            terms: serde_json::json!(input.terms).to_string(),
            created_at: self.making.at(),
        };
        self.plans.insert(input.code.clone(), row.id);
        let mut details = before.map(|before| plan_parts(before, input)).unwrap_or_default();
        if !details.is_empty() {
            details.push(format!("version {}; what was sold keeps its version", row.version));
        }
        self.compared(What::Plan, &input.code, before.is_none(), details, Step::Plan(row));
    }

    /// Whether that plan is there, or will be, and belongs to the product.
    fn is_of_product(&self, code: &str, product: uuid::Uuid) -> bool {
        let kept = || self.current.plans.get(code).map(|row| row.product_id);
        self.products_of_plans.get(code).copied().or_else(kept) == Some(product)
    }

    pub(super) fn price_rule(&mut self, entry: &Entry<PriceRuleInput>) {
        let input = &entry.item;
        let name = rule_name(&input.connection, &input.matcher, input.from);
        if !self.is_sound(entry, What::PriceRule, &name, check::price_rule(input)) {
            return;
        }
        let Some(connection) = self.connections.get(&input.connection).copied() else {
            let message = format!("there is no connection `{}`; name it in a [[connection]] first", input.connection);
            return self.wrong(entry, What::PriceRule, &name, Some("connection"), message);
        };
        let mut grants = Vec::with_capacity(input.grants.len());
        for grant in &input.grants {
            match self.plans.get(&grant.plan) {
                Some(plan) => grants.push(RuleGrant { plan: PlanId(*plan), quantity: grant.quantity }),
                None => {
                    let message = format!("there is no plan `{}`; name it in a [[plan]] first", grant.plan);
                    self.wrong(entry, What::PriceRule, &name, Some("plan"), message);
                }
            }
        }
        if grants.len() < input.grants.len() {
            return;
        }
        let (kind, value) = matcher_columns(&input.matcher);
        let valid_from = input.from.map_or(0, Timestamp::as_microsecond);
        let is_same = |rule: &&rows::PriceRule| {
            (rule.connection_id, rule.matcher_kind.as_str(), rule.matcher_value.as_str(), rule.valid_from)
                == (connection, kind, value, valid_from)
        };
        let before = self.current.rules.iter().find(is_same);
        let row = rows::PriceRule {
            id: before.map_or_else(|| self.making.id(), |row| row.id),
            tenant_id: self.current.tenant.id,
            connection_id: connection,
            matcher_kind: kind.to_owned(),
            matcher_value: value.to_owned(),
            grants: serde_json::json!(grants).to_string(),
            adds: serde_json::json!(input.adds).to_string(),
            valid_from,
            valid_until: input.until.map(Timestamp::as_microsecond),
            created_at: before.map_or_else(|| self.making.at(), |row| row.created_at),
        };
        self.rules.insert(row.id);
        let wanted = Rule { grants, adds: input.adds.clone(), from: input.from, until: input.until };
        let kept = before.and_then(|before| store::catalogue::rule(before).ok());
        let gives = if kept.is_some_and(|kept| kept == wanted) { Vec::new() } else { vec![gives(input)] };
        self.compared(What::PriceRule, &name, before.is_none(), gives, Step::PriceRule(row));
    }

    pub(super) fn remove_rule(&mut self, id: PriceRuleId) {
        if let Some(rule) = self.current.rules.iter().find(|rule| rule.id == id.0) {
            let step = Step::DeletePriceRule(rule.clone());
            self.change(What::PriceRule, &self.name_of_rule(rule), Action::Deleted, Vec::new(), Some(step));
        }
    }

    pub(super) fn unnamed_rules(&mut self, is_pruned: bool) {
        let current = self.current;
        let is_made_here = |rule: &rows::PriceRule| {
            rule.matcher_kind == "price"
                && current.made_prices.contains(&(rule.connection_id, rule.matcher_value.clone()))
        };
        let unnamed = current.rules.iter().filter(|rule| !self.rules.contains(&rule.id) && !is_made_here(rule));
        for rule in unnamed.collect::<Vec<_>>() {
            let name = self.name_of_rule(rule);
            match is_pruned {
                true => {
                    let why = vec!["not in the file; what it decided stays decided".to_owned()];
                    let step = Step::DeletePriceRule(rule.clone());
                    self.change(What::PriceRule, &name, Action::Deleted, why, Some(step));
                }
                false => {
                    let why = vec!["stays as it is; --prune deletes it".to_owned()];
                    self.change(What::PriceRule, &name, Action::WouldDelete, why, None);
                }
            }
        }
    }

    fn name_of_rule(&self, rule: &rows::PriceRule) -> String {
        let of_rule = self.connections.iter().find(|(_, id)| **id == rule.connection_id);
        let connection = of_rule.map_or("?", |(code, _)| code.as_str());
        let from = (rule.valid_from != 0).then(|| Timestamp::from_microsecond(rule.valid_from).unwrap_or_default());
        rule_name(connection, &store::catalogue::matcher(&rule.matcher_kind, &rule.matcher_value), from)
    }
}

/// What of a plan differs.
fn plan_parts(before: &rows::Plan, input: &PlanInput) -> Vec<String> {
    let Ok(terms) = serde_json::from_str::<PlanTerms>(&before.terms) else { return vec!["terms".to_owned()] };
    changed(&[
        ("name", before.name != input.name),
        ("duration_days", terms.duration_days != input.terms.duration_days),
        ("activations", terms.limits.activations != input.terms.limits.activations),
        ("checks_per_month", terms.limits.checks_per_month != input.terms.limits.checks_per_month),
        ("features", terms.limits.features != input.terms.limits.features),
        ("policy", terms.policy != input.terms.policy),
        ("lease", terms.lease != input.terms.lease),
        ("price", terms.price != input.terms.price),
        // Whatever a plan says beside these.
        ("terms", terms != input.terms && same_known_parts(&terms, &input.terms)),
    ])
}

fn same_known_parts(one: &PlanTerms, other: &PlanTerms) -> bool {
    (one.duration_days, &one.limits, &one.policy, one.lease, one.price)
        == (other.duration_days, &other.limits, &other.policy, other.lease, other.price)
}

pub(super) fn changed(parts: &[(&str, bool)]) -> Vec<String> {
    parts.iter().filter(|(_, differs)| *differs).map(|(part, _)| (*part).to_owned()).collect()
}

fn rule_name(connection: &str, matcher: &Matcher, from: Option<Timestamp>) -> String {
    let from = from.map(|from| format!(" from {from}")).unwrap_or_default();
    match matcher {
        Matcher::Price(price) => format!("`{connection}` price `{price}`{from}"),
        Matcher::Product(product) => format!("`{connection}` product `{product}`{from}"),
        Matcher::Default => format!("`{connection}` default{from}"),
    }
}

fn gives(input: &PriceRuleInput) -> String {
    let grant = |grant: &super::super::input::GrantInput| {
        let quantity = serde_json::json!(grant.quantity);
        format!("`{}` ({})", grant.plan, quantity.as_str().unwrap_or_default())
    };
    let mut parts = Vec::new();
    match input.grants.is_empty() {
        true if input.adds.is_nothing() => parts.push("gives nothing".to_owned()),
        true => {}
        false => parts.push(format!("gives {}", input.grants.iter().map(grant).collect::<Vec<_>>().join(" and "))),
    }
    if !input.adds.is_nothing() {
        parts.push(format!("adds {}", serde_json::json!(input.adds)));
    }
    parts.extend(input.until.map(|until| format!("until {until}")));
    parts.join(", ")
}
