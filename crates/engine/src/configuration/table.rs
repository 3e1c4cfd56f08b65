//! Price rules as a table: what is handed out as CSV and taken back, compared with what is there like any other file.

use std::collections::BTreeMap;

use domain::{
    decision::{Matcher, QuantityRule},
    id::TenantId,
    plan::AddOn,
    text::{PriceReference, ProductReference},
};
use jiff::{Timestamp, civil::Date, tz::TimeZone};

use super::{
    ConfigurationChange, ConfigurationError, Existing, GrantInput, PriceRuleInput, Problem,
    apply::Asked,
    difference::{Making, difference},
    input::{Entry, Wanted},
    report::{ApplyReport, What},
    state::Current,
};
use crate::{Engine, rulings::By};

/// The columns of a table, in the order in which it is handed out.
pub const PRICE_COLUMNS: [&str; 9] =
    ["connection", "about", "value", "plans", "quantities", "devices", "features", "from", "until"];
/// Rows of a table at most.
const ROWS_MAX: usize = 2_000;
/// What several things in one cell have between them.
const BETWEEN: char = ';';

/// What a table asks for.
#[derive(Debug, Default)]
pub struct PriceTable {
    /// The rules, each with its line.
    pub rules: Vec<(usize, PriceRuleInput)>,
    /// What does not read.
    pub refused: Vec<Problem>,
}

/// What a table would come to.
#[derive(Debug, Default)]
pub struct TablePreview {
    /// What would become of each rule that can be.
    pub changes: Vec<ConfigurationChange>,
    /// What cannot be. As long as there is any, nothing is imported.
    pub refused: Vec<Problem>,
}

impl PriceTable {
    /// Reads a table: CSV with the names of its columns in the first line, in any order.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let mut table = Self::default();
        // Browsers send forms with both signs at the end of a line, and only one is counted.
        let text = &text.replace("\r\n", "\n");
        let mut reader = csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::All).from_reader(text.as_bytes());
        let names: Vec<String> = match reader.headers() {
            Ok(names) => names.iter().map(|name| name.trim_start_matches('\u{feff}').to_lowercase()).collect(),
            Err(error) => {
                table.refuse(1, None, error.to_string());
                return table;
            }
        };
        if let Some(problem) = wrong_with_columns(&names) {
            table.refuse(1, None, problem);
            return table;
        }
        for record in reader.records() {
            let record = match record {
                Ok(record) => record,
                Err(error) => {
                    let line = error.position().map_or(0, |at| line_of(text, at));
                    table.refuse(line, None, "it is not CSV in UTF-8".to_owned());
                    continue;
                }
            };
            let line = record.position().map_or(0, |at| line_of(text, at));
            if table.rules.len() + table.refused.len() >= ROWS_MAX {
                table.refuse(line, None, format!("a table has {ROWS_MAX} rows at most; import the rest by itself"));
                break;
            }
            if record.len() > names.len() {
                table.refuse(line, None, "it has more cells than there are columns".to_owned());
                continue;
            }
            let cells = names.iter().map(String::as_str).zip(record.iter().map(unquoted)).collect();
            match rule(&cells) {
                Ok(rule) => table.rules.push((line, rule)),
                Err((field, message)) => table.refuse(line, Some(field), message),
            }
        }
        table
    }

    /// Refuses what stands in a line.
    pub fn refuse(&mut self, line: usize, field: Option<&'static str>, message: String) {
        self.refused.push(Problem { line: Some(line), subject: String::new(), field, message });
    }

    /// A rule as the cells of its row.
    #[must_use]
    pub fn row(rule: &PriceRuleInput) -> [String; 9] {
        let (about, value) = store::catalogue::matcher_columns(&rule.matcher);
        let quantity = |grant: &GrantInput| match grant.quantity {
            QuantityRule::Keys => "keys",
            QuantityRule::Seats => "seats",
        };
        let plans: Vec<&str> = rule.grants.iter().map(|grant| grant.plan.as_str()).collect();
        let quantities: Vec<&str> = rule.grants.iter().map(quantity).collect();
        let features: Vec<&str> = rule.adds.features.iter().map(String::as_str).collect();
        let between = BETWEEN.to_string();
        [
            rule.connection.clone(),
            about.to_owned(),
            value.to_owned(),
            plans.join(&between),
            quantities.join(&between),
            Some(rule.adds.activations).filter(|more| *more > 0).map(|more| more.to_string()).unwrap_or_default(),
            features.join(&between),
            rule.from.map(|at| at.to_string()).unwrap_or_default(),
            rule.until.map(|at| at.to_string()).unwrap_or_default(),
        ]
    }
}

/// The line in which a row stands: a reader that passes over empty lines begins to count with the first of them.
fn line_of(text: &str, at: &csv::Position) -> usize {
    let begin = usize::try_from(at.byte()).unwrap_or(usize::MAX);
    let empty = text.as_bytes().get(begin..).unwrap_or_default().iter().take_while(|byte| **byte == b'\n').count();
    usize::try_from(at.line()).unwrap_or(usize::MAX).saturating_add(empty)
}

/// A cell as it was before it was kept from being a formula.
fn unquoted(cell: &str) -> &str {
    match cell.strip_prefix('\'') {
        Some(rest) if rest.starts_with(['=', '+', '-', '@']) => rest,
        _ => cell,
    }
}

fn wrong_with_columns(names: &[String]) -> Option<String> {
    let all = PRICE_COLUMNS.join(", ");
    if let Some(name) = names.iter().find(|name| !PRICE_COLUMNS.contains(&name.as_str())) {
        return Some(format!("there is no column `{name}`; the first line names the columns: {all}"));
    }
    let missing =
        ["connection", "about", "value", "plans"].into_iter().find(|name| !names.iter().any(|there| there == name));
    missing.map(|name| format!("the column `{name}` is missing; the first line names the columns: {all}"))
}

type Wrong = (&'static str, String);

fn rule(cells: &BTreeMap<&str, &str>) -> Result<PriceRuleInput, Wrong> {
    let cell = |name: &str| cells.get(name).copied().unwrap_or_default();
    let several = |name: &str| -> Vec<String> {
        cell(name).split(BETWEEN).map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect()
    };
    let value = cell("value");
    let matcher = match cell("about") {
        "price" if !value.is_empty() => Matcher::Price(PriceReference::new(value)),
        "product" if !value.is_empty() => Matcher::Product(ProductReference::new(value)),
        "default" if value.is_empty() => Matcher::Default,
        "default" => return Err(("value", "a default is about no price or product; leave it empty".to_owned())),
        "price" | "product" => return Err(("value", "name the price or product by the provider's own id".to_owned())),
        other => return Err(("about", format!("`{other}` is none of price, product and default"))),
    };
    let activations = match cell("devices") {
        "" => 0,
        text => text.parse().map_err(|_| ("devices", format!("`{text}` is no whole number from 0 on")))?,
    };
    Ok(PriceRuleInput {
        connection: cell("connection").to_owned(),
        matcher,
        grants: grants(several("plans"), &several("quantities"))?,
        adds: AddOn { activations, features: several("features").into_iter().collect() },
        from: moment("from", cell("from"))?,
        until: moment("until", cell("until"))?,
    })
}

/// The plans, each with its quantity; one quantity counts for all of them, none is a key for each.
fn grants(plans: Vec<String>, quantities: &[String]) -> Result<Vec<GrantInput>, Wrong> {
    if quantities.len() > 1 && quantities.len() != plans.len() {
        return Err(("quantities", "name one quantity, or one for each of the plans".to_owned()));
    }
    let quantity = |place: usize| match quantities.get(place).or(quantities.first()).map_or("keys", String::as_str) {
        "keys" => Ok(QuantityRule::Keys),
        "seats" => Ok(QuantityRule::Seats),
        other => Err(("quantities", format!("`{other}` is neither keys nor seats"))),
    };
    plans.into_iter().enumerate().map(|(place, plan)| Ok(GrantInput { plan, quantity: quantity(place)? })).collect()
}

/// A moment, or the day that begins with it in UTC.
fn moment(field: &'static str, text: &str) -> Result<Option<Timestamp>, Wrong> {
    if text.is_empty() {
        return Ok(None);
    }
    let day = |text: &str| text.parse::<Date>().ok()?.to_zoned(TimeZone::UTC).ok();
    let at = day(text).map(|day| day.timestamp()).or_else(|| text.parse().ok());
    at.map(Some).ok_or_else(|| (field, format!("`{text}` is no day and no moment; one looks like 2026-12-24")))
}

impl Engine {
    /// What a table of price rules would come to. Nothing is written, and what is not named stays as it is.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn preview_price_rules(
        &self,
        tenant: TenantId,
        table: &PriceTable,
    ) -> Result<TablePreview, ConfigurationError> {
        store::repeat(|| self.preview_price_rules_once(tenant, table), ConfigurationError::is_conflict).await
    }

    async fn preview_price_rules_once(
        &self,
        tenant: TenantId,
        table: &PriceTable,
    ) -> Result<TablePreview, ConfigurationError> {
        let write = self.store.begin().await?;
        let row = write.lock_catalogue(tenant).await?;
        let row = row.ok_or_else(|| ConfigurationError::Missing(What::Tenant, tenant.to_string()))?;
        let mut refused = table.refused.clone();
        let mut wanted = wanted(table);
        let current = Current::read(&write, row, &wanted, &self.ring()).await?;
        write.let_go().await?;
        // What cannot be is left out of the next comparison, so that each row is either told or refused.
        let changes = loop {
            let making = Making { now: self.now(), entropy: &mut *self.entropy(), actor: "" };
            let problems = match difference(&current, &wanted, making) {
                Ok(changes) => break changes,
                Err(problems) => problems,
            };
            let before = wanted.price_rules.len();
            wanted.price_rules.retain(|entry| !problems.iter().any(|problem| problem.line == entry.line));
            refused.extend(problems);
            if wanted.price_rules.len() == before {
                break Vec::new();
            }
        };
        refused.sort_by_key(|problem| problem.line);
        Ok(TablePreview { changes, refused })
    }

    /// Makes the rules of a table so: all of them, or none if any of them cannot be. What is not named stays as it is.
    ///
    /// # Errors
    /// [`ConfigurationError::Problems`] with every row that cannot be, or those of the database. Nothing was changed then.
    pub async fn import_price_rules(
        &self,
        tenant: TenantId,
        table: &PriceTable,
        by: &By,
    ) -> Result<ApplyReport, ConfigurationError> {
        if !table.refused.is_empty() {
            return Err(ConfigurationError::Problems(table.refused.clone()));
        }
        let wanted = wanted(table);
        self.change(tenant, &Asked { wanted: &wanted, by, existing: Existing::Either, is_file: false }).await
    }
}

fn wanted(table: &PriceTable) -> Wanted {
    let entry = |(line, rule): &(usize, PriceRuleInput)| Entry { line: Some(*line), item: rule.clone() };
    Wanted { price_rules: table.rules.iter().map(entry).collect(), ..Wanted::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_comes_back_as_it_was_handed_out() {
        let text = "connection,about,value,plans,quantities,devices,features,from,until\n\
            stripe,price,price_1,pro;care,seats;keys,5,export;sso,2026-01-31T10:00:00Z,2026-12-24\n\
            stripe,product,'=prod,pro,,,,,\n\
            stripe,default,,,,,,,\n";
        let table = PriceTable::read(text);
        assert!(table.refused.is_empty(), "{:?}", table.refused);
        let rows: Vec<_> = table.rules.iter().map(|(line, rule)| (*line, PriceTable::row(rule).join(","))).collect();
        assert_eq!(
            rows,
            [
                (
                    2,
                    "stripe,price,price_1,pro;care,seats;keys,5,export;sso,2026-01-31T10:00:00Z,2026-12-24T00:00:00Z"
                        .into()
                ),
                (3, "stripe,product,=prod,pro,keys,,,,".into()),
                (4, "stripe,default,,,,,,,".into()),
            ]
        );
    }

    #[test]
    fn what_does_not_read_is_refused_with_its_line() {
        for (text, line, words) in [
            ("", 1, "the column `connection` is missing"),
            ("connection,about,value,plans,price\n", 1, "there is no column `price`"),
            (
                "connection,about,value,plans\nstripe,pirce,x,pro\n",
                2,
                "about: `pirce` is none of price, product and default",
            ),
            ("connection,about,value,plans\n\nstripe,price,,pro\n", 3, "value: name the price or product"),
            ("connection,about,value,plans\nstripe,default,x,pro\n", 2, "value: a default is about no price"),
            ("connection,about,value,plans\nstripe,price,x,pro,more\n", 2, "it has more cells than there are columns"),
            (
                "connection,about,value,plans,quantities\nstripe,price,x,pro,few\n",
                2,
                "quantities: `few` is neither keys nor seats",
            ),
            (
                "connection,about,value,plans,quantities\nstripe,price,x,a;b;c,keys;seats\n",
                2,
                "quantities: name one quantity",
            ),
            ("connection,about,value,plans,devices\nstripe,price,x,pro,-1\n", 2, "devices: `-1` is no whole number"),
            ("connection,about,value,plans,from\nstripe,price,x,pro,soon\n", 2, "from: `soon` is no day"),
        ] {
            let refused = PriceTable::read(text).refused;
            let told: Vec<String> = refused.iter().map(ToString::to_string).collect();
            assert!(told.len() == 1 && told[0].starts_with(&format!("line {line}: {words}")), "{text:?}: {told:?}");
        }
    }
}
