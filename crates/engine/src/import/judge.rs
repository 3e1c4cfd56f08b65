//! What importing a line would come to, compared with what is there.

use std::collections::{BTreeMap, HashMap};

use domain::{
    id::{CustomerId, LicenseId},
    plan::{Limits, Plan},
    text::{EmailAddress, PlanCode},
};
use jiff::{SignedDuration, Timestamp};
use store::{
    FoundLicense,
    lists::{ListedLicense, Whose},
};

use super::{
    ImportError, ImportOptions, PAGE,
    file::{Bringing, Ends, File, Line, Room},
};
use crate::{Engine, Error, catalogue::Shelf};

/// What importing a line comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// A license that is not here yet.
    New,
    /// It is here, and the same.
    Same,
    /// It is here, and not the same. It stays as it is here.
    Differs,
    /// It cannot be imported.
    Refused,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::New, Self::Same, Self::Differs, Self::Refused];

    /// The word for it, as stored.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Same => "same",
            Self::Differs => "differs",
            Self::Refused => "refused",
        }
    }
}

/// A line, and what importing it would come to.
pub struct PreviewLine {
    /// Where it begins in the file, from 1.
    pub number: u64,
    /// What may be shown of its key; empty: it has none.
    pub hint: String,
    /// What it would come to.
    pub outcome: Outcome,
    /// Why; of one that is new, what it would be.
    pub detail: String,
    pub(super) told: Option<Bringing>,
}

/// What importing a file would come to, line by line.
pub struct Preview {
    /// Its lines, in the order of the file.
    pub lines: Vec<PreviewLine>,
    /// The first columns of it that nobody knows here.
    pub ignored: Vec<String>,
}

impl Preview {
    /// How many lines come to something.
    #[must_use]
    pub fn count(&self, outcome: Outcome) -> usize {
        self.lines.iter().filter(|line| line.outcome == outcome).count()
    }
}

/// What is here with the key of a line.
pub(super) enum Here {
    /// A license of this vendor in this mode, and its buyer's address.
    Own(Box<ListedLicense>, Option<String>),
    /// One of this vendor's in the other mode.
    OtherMode(LicenseId),
    /// Another vendor's.
    Elsewhere,
}

/// What importing a line comes to whose key opens a license here.
pub(super) fn compare(told: &Bringing, plan: Option<&Plan>, here: &Here) -> (Outcome, String) {
    let (listed, email) = match here {
        // Who has it is no business of whoever tries keys.
        Here::Elsewhere => {
            return (Outcome::Refused, "its key cannot be used here; give its buyer another one".to_owned());
        }
        Here::OtherMode(id) => return (Outcome::Refused, format!("its key opens {id} in the other mode")),
        Here::Own(listed, email) => (listed, email),
    };
    let license = &listed.license;
    let mut others = Vec::new();
    if plan.is_some_and(|plan| plan.version.plan != license.plan.plan) {
        others.push("another plan");
    }
    let is_other =
        |wanted: &EmailAddress| email.as_ref().is_none_or(|email| email.to_lowercase() != wanted.normalised());
    if told.email.as_ref().is_some_and(is_other) {
        others.push("another e-mail address");
    }
    if !ends_alike(told.ends, license.standing.until) {
        others.push("another end");
    }
    if others.is_empty() {
        (Outcome::Same, format!("{} is the same", license.id))
    } else {
        (Outcome::Differs, format!("{} has {}, and stays as it is", license.id, others.join(", ")))
    }
}

fn ends_alike(told: Ends, until: Option<Timestamp>) -> bool {
    match (told, until) {
        (Ends::ByPlan, _) | (Ends::Never, None) => true,
        (Ends::At(end), Some(until)) => end.duration_since(until).abs() < SignedDuration::from_secs(1),
        _ => false,
    }
}

/// The plan that a line means, by its code or name, or by a product that has only one. What is not found is not repeated:
/// where columns are mixed up, it is a key.
fn plan_of<'a>(told: &Bringing, options: &ImportOptions, shelf: &'a Shelf) -> Result<&'a Plan, String> {
    let by_code = |code: &PlanCode| shelf.catalogue.plan_by_code(code);
    if let Some(code) = &told.plan {
        let by_name = || shelf.catalogue.newest_plans().find(|plan| plan.name.eq_ignore_ascii_case(code.as_str()));
        let found = by_code(code).or_else(by_name);
        return found.ok_or_else(|| "there is no plan with the code or name that it has".to_owned());
    }
    if let Some(name) = &told.product {
        let is_it = |plan: &&Plan| {
            let product = shelf.products.get(&plan.version.product);
            product.is_some_and(|row| row.code.eq_ignore_ascii_case(name) || row.name.eq_ignore_ascii_case(name))
        };
        let mut plans: Vec<&Plan> = shelf.catalogue.newest_plans().filter(is_it).collect();
        let of_it = |plan: &&Plan| options.plan.as_ref() == Some(&plan.code);
        if let Some(chosen) = plans.iter().find(|plan| of_it(plan)) {
            return Ok(chosen);
        }
        return match (plans.pop(), plans.is_empty()) {
            (Some(only), true) => Ok(only),
            (Some(_), false) => Err("its product has several plans; name one".to_owned()),
            (None, _) => Err("there is no product with the code or name that it has".to_owned()),
        };
    }
    let plan = options.plan.as_ref().and_then(by_code);
    plan.ok_or_else(|| "it names no plan; name one for all lines that name none".to_owned())
}

/// What a license allows that differs from its plan; none: what the plan does.
pub(super) fn limits_of(told: &Bringing, plan: &Plan) -> Option<Limits> {
    let limits = &plan.terms.limits;
    let activations = match (told.room, told.quantity) {
        (Room::Most(most), _) => Some(most),
        (Room::Any, _) => None,
        (Room::ByPlan, Some(quantity)) => limits.activations.map(|each| each.saturating_mul(quantity)),
        (Room::ByPlan, None) => return None,
    };
    (activations != limits.activations).then(|| Limits { activations, ..limits.clone() })
}

/// Why a line that is new cannot be a license of this plan; none: it can.
fn in_the_way(told: &Bringing, plan: &Plan, now: Timestamp) -> Option<String> {
    let limits = limits_of(told, plan);
    let most = limits.as_ref().unwrap_or(&plan.terms.limits).activations;
    let devices = told.devices.len();
    if most.is_some_and(|most| devices > most as usize) {
        return Some(format!("it has {devices} devices and allows {}", most.unwrap_or_default()));
    }
    if told.created.is_some_and(|created| created > now) {
        return Some("it was created in the future".to_owned());
    }
    let ends = told.ends == Ends::Never && plan.terms.duration_days.is_some();
    ends.then(|| format!("it never ends, and the plan `{}` does; choose a plan without an end", plan.code))
}

impl Engine {
    /// What each line of a file would come to.
    pub(super) async fn judge_import(
        &self,
        whose: Whose,
        file: File,
        options: &ImportOptions,
    ) -> Result<Preview, ImportError> {
        let shelf = self.shelf_of(whose).await?;
        if let Some(code) = options.plan.as_ref().filter(|code| shelf.catalogue.plan_by_code(code).is_none()) {
            return Err(ImportError::UnknownPlan(code.clone()));
        }
        let (mut lines, mut seen) = (Vec::with_capacity(file.lines.len()), BTreeMap::new());
        let mut waiting = file.lines.into_iter();
        loop {
            let page: Vec<Line> = waiting.by_ref().take(PAGE).collect();
            if page.is_empty() {
                break;
            }
            let here = self.here(whose, page.iter().filter_map(|line| line.told.as_ref().ok())).await?;
            for Line { number, told } in page {
                lines.push(match told {
                    Err(why) => refused(number, String::new(), why),
                    Ok(told) => self.judge_line((number, told), options, &shelf, &here, &mut seen),
                });
            }
        }
        Ok(Preview { lines, ignored: file.ignored })
    }

    /// The catalogue as it is now.
    pub(super) async fn shelf_of(&self, whose: Whose) -> Result<std::sync::Arc<Shelf>, Error> {
        let write = self.store.begin().await?;
        let shelf = self.catalogues.of(&write, whose.tenant).await?;
        write.let_go().await?;
        Ok(shelf)
    }

    fn judge_line(
        &self,
        (number, mut told): (u64, Bringing),
        options: &ImportOptions,
        shelf: &Shelf,
        here: &HashMap<Vec<u8>, Here>,
        seen: &mut BTreeMap<Vec<u8>, u64>,
    ) -> PreviewLine {
        let Some(key) = told.license_key() else { return refused(number, String::new(), "it has no key".to_owned()) };
        let (ring, hint) = (self.ring(), key.masked());
        if let Some(first) = seen.get(&ring.license_hash(&key.normal())[..]) {
            return refused(number, hint, format!("line {first} has the same key"));
        }
        seen.insert(ring.license_hash(&key.normal()).to_vec(), number);
        let known = ring.license_hashes(&key.normal()).into_iter().find_map(|hash| here.get(&hash[..]));
        let plan = plan_of(&told, options, shelf);
        if let Some(known) = known {
            let (outcome, detail) = compare(&told, plan.as_ref().ok().copied(), known);
            return PreviewLine { number, hint, outcome, detail, told: None };
        }
        let plan = match plan {
            Ok(plan) => plan,
            Err(why) => return refused(number, hint, why),
        };
        if let Some(why) = in_the_way(&told, plan, self.now()) {
            return refused(number, hint, why);
        }
        told.plan = Some(plan.code.clone());
        told.send_email = options.send_email && told.email.is_some();
        PreviewLine { number, hint, outcome: Outcome::New, detail: summary(&told, plan), told: Some(told) }
    }

    /// What is here with the keys of these lines, by the hashes of the keys.
    async fn here<'a>(
        &self,
        whose: Whose,
        told: impl Iterator<Item = &'a Bringing>,
    ) -> Result<HashMap<Vec<u8>, Here>, Error> {
        let ring = self.ring();
        let keys = told.filter_map(Bringing::license_key);
        let hashes = keys.flat_map(|key| ring.license_hashes(&key.normal())).map(|hash| hash.to_vec()).collect();
        let found = self.store.licenses_by_hash(hashes).await?;
        self.compared(whose, found).await
    }

    /// Licenses as an import compares them.
    pub(super) async fn compared(
        &self,
        whose: Whose,
        found: HashMap<Vec<u8>, std::sync::Arc<FoundLicense>>,
    ) -> Result<HashMap<Vec<u8>, Here>, Error> {
        let is_own = |found: &FoundLicense| found.tenant == whose.tenant && found.livemode == whose.livemode;
        let own = found.values().filter(|found| is_own(found)).map(|found| found.id).collect();
        let listed = self.store.listed_licenses(whose, own).await?;
        let buyers = listed.iter().filter_map(|listed| listed.customer).collect();
        let buyers = self.store.customers(whose, buyers).await?;
        let emails: HashMap<CustomerId, String> =
            buyers.into_iter().map(|row| (CustomerId(row.id), row.email)).collect();
        let listed: HashMap<LicenseId, ListedLicense> =
            listed.into_iter().map(|listed| (listed.license.id, listed)).collect();
        let here = |found: &FoundLicense| match listed.get(&found.id) {
            Some(own) => {
                let email = own.customer.and_then(|id| emails.get(&id).cloned());
                Here::Own(Box::new(own.clone()), email)
            }
            None if found.tenant == whose.tenant => Here::OtherMode(found.id),
            None => Here::Elsewhere,
        };
        Ok(found.into_iter().map(|(hash, found)| (hash, here(&found))).collect())
    }
}

/// What a new license would be, in short.
fn summary(told: &Bringing, plan: &Plan) -> String {
    let ends = match told.ends {
        Ends::At(end) => Some(end.strftime("ends %-d %B %Y, %H:%M UTC").to_string()),
        Ends::ByPlan | Ends::Never => None,
    };
    let email = told.email.as_ref().map(|email| email.as_str().to_owned());
    let parts = [Some(plan.name.to_string()), email, ends];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" · ")
}

fn refused(number: u64, hint: String, why: String) -> PreviewLine {
    PreviewLine { number, hint, outcome: Outcome::Refused, detail: why, told: None }
}
