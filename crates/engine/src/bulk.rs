//! Many licenses at once. What is asked for is written down first, license by license, and then done by a worker, each
//! license by the same operation and with the same audit entry as if it were the only one.

use domain::{
    id::{BulkChangeId, LicenseId},
    license::{Holding, License, LicenseState},
    ruling::Ruling,
    tag::TAGS_MAX,
    time::after,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use store::{
    Write,
    lists::{ListedLicense, Whose},
    many::{BulkStep, status},
    outbox,
    rows::{BulkChange, BulkItem},
};

use crate::{
    Engine, Error, import,
    license_tags::{TagPatch, TaggingError},
    rulings::By,
};

/// Licenses of one change at most.
pub const LICENSES_MAX: usize = 10_000;
/// Licenses that are read at once.
pub(crate) const TURN: u64 = 25;

/// What is done with each license.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BulkAction {
    /// It lasts so many days longer, counted from its end or from now, whichever is later.
    Extend(u32),
    /// It stops for now.
    Freeze,
    /// It goes on, and what speaks against it now is excused.
    Unfreeze,
    /// It is taken back.
    Revoke,
    /// The mail with its key goes out once more.
    Resend,
    /// It has this tag.
    Tag(String),
    /// It has not this tag.
    Untag(String),
}

impl BulkAction {
    /// The word for it, as stored.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Extend(_) => "extend",
            Self::Freeze => "freeze",
            Self::Unfreeze => "unfreeze",
            Self::Revoke => "revoke",
            Self::Resend => "resend",
            Self::Tag(_) => "tag",
            Self::Untag(_) => "untag",
        }
    }

    /// The action of a word; `days` are for an extension, and `tag` is for those about one. None: there is no such action.
    #[must_use]
    pub fn read(word: &str, days: u32, tag: &str) -> Option<Self> {
        let (tagged, untagged) = (Self::Tag(tag.to_owned()), Self::Untag(tag.to_owned()));
        let all = [Self::Extend(days), Self::Freeze, Self::Unfreeze, Self::Revoke, Self::Resend, tagged, untagged];
        all.into_iter().find(|action| action.as_str() == word)
    }

    const fn days(&self) -> Option<u32> {
        match self {
            Self::Extend(days) => Some(*days),
            _ => None,
        }
    }

    /// The tag that it is about.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        match self {
            Self::Tag(tag) | Self::Untag(tag) => Some(tag),
            _ => None,
        }
    }

    /// What it does to tags.
    fn tag_patch(&self) -> TagPatch {
        match self {
            Self::Tag(tag) => TagPatch { add: [tag.clone()].into(), ..TagPatch::default() },
            Self::Untag(tag) => TagPatch { remove: [tag.clone()].into(), ..TagPatch::default() },
            _ => TagPatch::default(),
        }
    }

    /// Why a license stays as it is, as the end of "it is skipped because …"; none: it is changed.
    #[must_use]
    pub fn skips(&self, listed: &ListedLicense) -> Option<&'static str> {
        let license = &listed.license;
        let state = license.standing.state;
        let is_revoked = license.rulings.revoked.as_ref().is_some_and(|register| register.value);
        match self {
            _ if matches!(license.holding, Holding::SupersededBy(_)) => Some("another license stands for it"),
            Self::Extend(_) if license.standing.until.is_none() && state == LicenseState::Active => {
                Some("it has no end")
            }
            Self::Extend(_) | Self::Freeze if state == LicenseState::Revoked => Some("it is revoked"),
            Self::Freeze if state == LicenseState::Frozen => Some("it is frozen already"),
            Self::Freeze if state == LicenseState::Expired => Some("it is expired"),
            Self::Unfreeze if state != LicenseState::Frozen => Some("it is not frozen"),
            Self::Revoke if is_revoked => Some("it is revoked by hand already"),
            Self::Resend if !license.announced => Some("no mail with its key was written yet"),
            Self::Tag(tag) if listed.tags.contains(tag) => Some("it has the tag already"),
            Self::Tag(_) if listed.tags.len() >= TAGS_MAX => Some("it has as many tags as a license may have"),
            Self::Untag(tag) if !listed.tags.contains(tag) => Some("it has not the tag"),
            _ => None,
        }
    }

    /// The end that an extension gives a license.
    fn until(&self, license: &License, now: Timestamp) -> Option<Timestamp> {
        let from = license.standing.until.map_or(now, |until| until.max(now));
        self.days().map(|days| after(from, SignedDuration::from_hours(24 * i64::from(days))))
    }
}

/// What a change would come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BulkPreview {
    /// Licenses that would change.
    pub changes: usize,
    /// Why others would not, and how many of them, the most first.
    pub skipped: Vec<(&'static str, usize)>,
}

/// What a change of these licenses would come to.
#[must_use]
pub fn preview(action: &BulkAction, licenses: &[ListedLicense]) -> BulkPreview {
    let mut preview = BulkPreview::default();
    for listed in licenses {
        let Some(why) = action.skips(listed) else {
            preview.changes += 1;
            continue;
        };
        match preview.skipped.iter_mut().find(|(known, _)| *known == why) {
            Some((_, count)) => *count += 1,
            None => preview.skipped.push((why, 1)),
        }
    }
    preview.skipped.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    preview
}

impl Engine {
    /// Begins to change licenses: [`LICENSES_MAX`] at most are for whoever asks to see to. A worker goes on with it.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn change_licenses(
        &self,
        whose: Whose,
        action: &BulkAction,
        licenses: &[ListedLicense],
        by: &By,
    ) -> Result<BulkChangeId, Error> {
        let now = self.now();
        let id = BulkChangeId::new(now, &mut *self.entropy());
        let count = |number: usize| i32::try_from(number).unwrap_or(i32::MAX);
        let change = BulkChange {
            id: id.0,
            tenant_id: whose.tenant.0,
            livemode: whose.livemode,
            action: action.as_str().to_owned(),
            days: action.days().map(u32::cast_signed),
            tag: action.tag().map(str::to_owned),
            actor: by.actor.clone(),
            note: by.note.clone(),
            total: count(licenses.len()),
            done: 0,
            skipped: 0,
            status: status::RUNNING.to_owned(),
            lease_until: None,
            created_at: now.as_microsecond(),
            done_at: None,
        };
        let item = |(position, listed): (usize, &ListedLicense)| BulkItem {
            change_id: id.0,
            position: count(position),
            license_id: Some(listed.license.id.0),
            until: action.until(&listed.license, now).map(Timestamp::as_microsecond),
            outcome: None,
        };
        let items: Vec<BulkItem> = licenses.iter().enumerate().map(item).collect();
        let mut detail =
            json!({ "action": action.as_str(), "days": action.days(), "licenses": licenses.len(), "note": by.note });
        if let Some(tag) = action.tag() {
            detail["tag"] = json!(tag);
        }
        let once = || async {
            let write = self.store.begin().await?;
            write.add_bulk_change(change.clone(), items.clone()).await?;
            let entry = self.told(whose.tenant, "licenses.changed", id.to_string(), None, &detail, by);
            crate::audit::add(&write, vec![entry]).await?;
            Ok(write.commit().await?)
        };
        store::repeat(once, Error::is_conflict).await?;
        self.changing.notify_one();
        Ok(id)
    }

    /// Stops a change that goes on. What was changed by then stays so. None: there is none, or it is over.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn stop_change(&self, whose: Whose, id: BulkChangeId, by: &By) -> Result<Option<BulkChange>, Error> {
        let once = || async {
            let write = self.store.begin().await?;
            let Some(change) = write.stop_bulk_change(whose, id, self.now()).await? else { return Ok(None) };
            // What was to be imported is nobody's business any more.
            write.forget_import_rows(id).await?;
            let detail = json!({ "licenses": change.total, "done": change.done, "note": by.note });
            let entry = self.told(whose.tenant, "change.stopped", id.to_string(), None, &detail, by);
            crate::audit::add(&write, vec![entry]).await?;
            write.commit().await?;
            Ok(Some(change))
        };
        store::repeat(once, Error::is_conflict).await
    }

    /// Changes the next licenses of all changes that go on. True: there is more to do at once.
    ///
    /// # Errors
    /// Those of the database. Other changes went on all the same.
    pub async fn bulk_turn(&self) -> Result<bool, Error> {
        let (mut is_more, mut failed) = (false, None);
        for change in self.store.running_bulk_changes().await? {
            match self.bulk_page(BulkChangeId(change.id)).await {
                Ok(more) => is_more |= more,
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        failed.map_or(Ok(is_more), Err)
    }

    async fn bulk_page(&self, id: BulkChangeId) -> Result<bool, Error> {
        let leased = store::repeat(|| self.lease_bulk(id), Error::is_conflict).await?;
        let Some((change, items)) = leased else { return Ok(false) };
        let changed = match change.action == import::ACTION {
            true => self.import_items(&change, &items).await,
            false => self.change_items(&change, &items).await,
        };
        // Whatever went wrong, nobody needs to wait for the lease to end.
        let once = || async {
            let write = self.store.begin().await?;
            write.release_bulk_change(&change, self.now()).await?;
            Ok::<_, Error>(write.commit().await?)
        };
        let released = store::repeat(once, Error::is_conflict).await;
        match changed {
            Err(Error::NotItsTurn) => Ok(false),
            changed => changed.and(released).map(|()| items.len() as u64 >= TURN),
        }
    }

    async fn lease_bulk(&self, id: BulkChangeId) -> Result<Option<(BulkChange, Vec<BulkItem>)>, Error> {
        let write = self.store.begin().await?;
        let Some(change) = write.lease_bulk_change(id, self.now()).await? else { return Ok(None) };
        let items = write.next_bulk_items(&change, TURN).await?;
        write.commit().await?;
        Ok(Some((change, items)))
    }

    /// Changes licenses one after the other, up to the first that fails or whose turn it is not any more.
    async fn change_items(&self, change: &BulkChange, items: &[BulkItem]) -> Result<(), Error> {
        let whose = Whose { tenant: domain::id::TenantId(change.tenant_id), livemode: change.livemode };
        let ids = items.iter().filter_map(|item| item.license_id).map(LicenseId).collect();
        let licenses = self.store.listed_licenses(whose, ids).await?;
        let by = By { actor: change.actor.clone(), note: change.note.clone() };
        for item in items {
            let listed = licenses.iter().find(|listed| Some(listed.license.id.0) == item.license_id);
            let done = match self.change_license(whose, change, item, listed, &by).await {
                // It would be refused again, and must not hold up those behind it.
                Err(error) if error.is_refusal() => {
                    let license = listed.map(|listed| listed.license.id.to_string()).unwrap_or_default();
                    tracing::error!(license, %error, "a license of many could not be changed");
                    Some("it could not be changed; the server's log says why")
                }
                done => done?,
            };
            if let Some(why) = done {
                store::repeat(|| self.skip_license(step(change, item), why), Error::is_conflict).await?;
            }
        }
        Ok(())
    }

    async fn skip_license(&self, step: BulkStep, why: &str) -> Result<(), Error> {
        let write = self.store.begin().await?;
        take_step(&write, step, why).await?;
        Ok(write.commit().await?)
    }

    /// Changes one license, and notes it in the same transaction. Otherwise: why it stays as it is.
    async fn change_license(
        &self,
        whose: Whose,
        change: &BulkChange,
        item: &BulkItem,
        listed: Option<&ListedLicense>,
        by: &By,
    ) -> Result<Option<&'static str>, Error> {
        const GONE: &str = "it is not there any more";
        let days = change.days.map(i32::unsigned_abs).unwrap_or_default();
        let action = BulkAction::read(&change.action, days, change.tag.as_deref().unwrap_or_default());
        let (Some(action), Some(listed)) = (action, listed) else {
            return Ok(Some(GONE));
        };
        if let Some(why) = action.skips(listed) {
            return Ok(Some(why));
        }
        let (id, step) = (listed.license.id, step(change, item));
        let ruling = match (&action, item.until) {
            (BulkAction::Extend(_), Some(until)) => {
                let until = Timestamp::from_microsecond(until).unwrap_or(Timestamp::MAX);
                if listed.license.standing.until.is_some_and(|end| end >= until) {
                    return Ok(Some("it lasts as long already"));
                }
                Ruling::Extend(until)
            }
            (BulkAction::Extend(_), None) => return Ok(Some(GONE)),
            (BulkAction::Freeze, _) => Ruling::Freeze,
            (BulkAction::Unfreeze, _) => Ruling::Unfreeze,
            (BulkAction::Revoke, _) => Ruling::Revoke,
            (BulkAction::Resend, _) => {
                let Some(mail) = self.mail_with_key(whose, id).await? else {
                    return Ok(Some("no mail with its key was written yet"));
                };
                if mail.recipient == outbox::ERASED {
                    return Ok(Some("its buyer was erased"));
                }
                self.send_again(&mail, whose, by, Some(step)).await?;
                return Ok(None);
            }
            (BulkAction::Tag(_) | BulkAction::Untag(_), _) => {
                return match self.tag_along(whose, id, &action.tag_patch(), by, step).await {
                    Ok(tags) => Ok(tags.is_none().then_some(GONE)),
                    Err(TaggingError::Tag(_)) => Ok(Some("it has as many tags as a license may have")),
                    Err(TaggingError::Engine(error)) => Err(error),
                };
            }
        };
        let ruled = self.rule_along(whose.tenant, id, &ruling, by, step).await?;
        Ok(if ruled.is_some() { None } else { Some(GONE) })
    }
}

pub(crate) fn step(change: &BulkChange, item: &BulkItem) -> BulkStep {
    BulkStep { change: BulkChangeId(change.id), position: item.position, lease_until: change.lease_until }
}

/// Notes in the transaction that changes a license of many that it is changed, so that both are so or neither is.
///
/// # Errors
/// Those of the database; [`Error::NotItsTurn`]: the transaction must not be.
pub(crate) async fn take_step(write: &Write, step: BulkStep, outcome: &str) -> Result<(), Error> {
    if write.take_bulk_step(step, outcome).await? { Ok(()) } else { Err(Error::NotItsTurn) }
}
