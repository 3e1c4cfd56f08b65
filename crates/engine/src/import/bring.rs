//! One line of an import becomes a license, in one transaction with all that comes along.

use std::{collections::BTreeMap, sync::Arc};

use crypto::{key::LicenseKey, seal::Place};
use domain::{
    id::{ActivationId, InboundId, LicenseId, OrderId, TenantId},
    license::License,
    plan::Plan,
    ruling::Ruling,
    text::Reference,
};
use jiff::Timestamp;
use providers::{Incoming, manual};
use serde_json::{Map, Value, json};
use store::{
    Write,
    lists::Whose,
    many::BulkStep,
    rows::{Activation, AuditEntry, BulkChange, BulkItem, ImportRow, InboundEvent},
};

use super::{
    file::{Bringing, Ends},
    judge::{compare, limits_of},
};
use crate::{
    Engine, Error,
    bulk::{TURN, step, take_step},
    connections::Connection,
    fulfil::Along,
    receive,
    rulings::By,
    runtime::ActivationKind,
};

/// Under which name a license's metadata has the reference that it had where it was brought from.
const REFERENCE: &str = "reference";

/// A line that is to become a license.
struct Line<'a> {
    whose: Whose,
    step: BulkStep,
    told: Bringing,
    key: LicenseKey,
    by: &'a By,
}

/// What became of a line.
enum Brought {
    License,
    /// It stays as it is, for this reason.
    Skipped(String),
}

impl Engine {
    /// Imports lines one after the other, up to the first that fails or whose turn it is not any more.
    pub(crate) async fn import_items(&self, change: &BulkChange, items: &[BulkItem]) -> Result<(), Error> {
        let whose = Whose { tenant: TenantId(change.tenant_id), livemode: change.livemode };
        let by = By { actor: change.actor.clone(), note: None };
        let rows = self.waiting_rows(change).await?;
        for item in items {
            let step = step(change, item);
            let Some(row) = rows.iter().find(|row| row.position == item.position) else {
                self.skip_row(step, "its line is not there any more").await?;
                continue;
            };
            let told = match self.opened_line(whose, change, row) {
                Ok(told) => told,
                Err(why) => {
                    self.skip_row(step, &of_line(row, &why)).await?;
                    continue;
                }
            };
            let Some(key) = told.license_key() else { continue };
            let brought = match self.bring(&Line { whose, step, told, key, by: &by }).await {
                // It would be refused again, and must not hold up those behind it.
                Err(error) if error.is_refusal() => {
                    tracing::error!(line = row.line, %error, "a line of an import could not be imported");
                    Brought::Skipped("it could not be imported; the server's log says why".to_owned())
                }
                brought => brought?,
            };
            if let Brought::Skipped(why) = brought {
                self.skip_row(step, &of_line(row, &why)).await?;
            }
        }
        Ok(())
    }

    async fn waiting_rows(&self, change: &BulkChange) -> Result<Vec<ImportRow>, Error> {
        let write = self.store.begin().await?;
        let rows = write.next_import_rows(change, TURN).await?;
        write.let_go().await?;
        Ok(rows)
    }

    /// What a line says, or why it is not imported.
    fn opened_line(&self, whose: Whose, change: &BulkChange, row: &ImportRow) -> Result<Bringing, String> {
        let Some(sealed) = &row.sealed else { return Err(row.detail.clone()) };
        let text = self.ring().open(Place::import_rows(whose.tenant, change.id), sealed);
        let told = text.ok().and_then(|text| serde_json::from_slice(&text).ok());
        // The master key was changed meanwhile, and nothing waits for long.
        told.ok_or_else(|| "what it says does not open any more; import the file once more".to_owned())
    }

    async fn skip_row(&self, step: BulkStep, why: &str) -> Result<(), Error> {
        let once = || async {
            let write = self.store.begin().await?;
            take_step(&write, step, why).await?;
            write.end_import_row(step, None).await?;
            Ok(write.commit().await?)
        };
        store::repeat(once, Error::is_conflict).await
    }

    async fn bring(&self, line: &Line<'_>) -> Result<Brought, Error> {
        // Two imports may bring one key at once: the second finds it here when it looks again.
        let brought = store::repeat(|| self.bring_once(line), Error::is_lost_race).await?;
        if line.told.send_email {
            self.mails.notify_one();
        }
        Ok(brought)
    }

    async fn bring_once(&self, line: &Line<'_>) -> Result<Brought, Error> {
        let now = self.now();
        let connections = self.connections().await?;
        let connection = self.manual_connection(line.whose.tenant, line.whose.livemode).await?;
        let write = self.store.begin().await?;
        let shelf = self.catalogues.of(&write, line.whose.tenant).await?;
        let plan = line.told.plan.as_ref().and_then(|code| shelf.catalogue.plan_by_code(code));
        if let Some(skipped) = self.already_here(&write, line, plan).await? {
            return Ok(skipped);
        }
        let Some(plan) = plan else { return Ok(Brought::Skipped("its plan is not there any more".to_owned())) };
        let (name, event) = self.event(&write, line, &connection, now).await?;
        if write.receive(vec![event.clone()]).await? == 0 {
            let why = "it was imported before, and its license has another key by now";
            return Ok(Brought::Skipped(why.to_owned()));
        }
        let along =
            Along { keys: BTreeMap::from([(name.clone(), line.key.clone())]), actor: Some(line.by.actor.clone()) };
        let mut worked_out = self.work_out_along(&write, event, &connections, &along, now).await?;
        let Some((order, license)) = worked_out.license_of(&name).filter(|(_, license)| license.keys > 0) else {
            let why = worked_out.in_the_way().unwrap_or("no license came of it").to_owned();
            return Ok(Brought::Skipped(why));
        };
        let mut told = self.limit(line, plan, order, license, now);
        let license = license.id;
        told.extend(self.note_of(line, order, license));
        let happened = worked_out.write(&write, now, &mut *self.entropy()).await?;
        self.bring_along(&write, line, license, now).await?;
        crate::audit::add(&write, told).await?;
        take_step(&write, line.step, "").await?;
        write.end_import_row(line.step, Some(license)).await?;
        write.commit().await?;
        self.tell(happened);
        Ok(Brought::License)
    }

    /// Why nothing is to be done, where the key opens a license by now.
    async fn already_here(
        &self,
        write: &Write,
        line: &Line<'_>,
        plan: Option<&Plan>,
    ) -> Result<Option<Brought>, Error> {
        let hashes = self.ring().license_hashes(&line.key.normal()).into_iter().map(|hash| hash.to_vec()).collect();
        let found = write.lock_licenses_by_hash(hashes).await?;
        let here = self.compared(line.whose, found).await?;
        Ok(here.values().next().map(|here| Brought::Skipped(compare(&line.told, plan, here).1)))
    }

    /// The event that tells of the sale, and the sale's name.
    async fn event(
        &self,
        write: &Write,
        line: &Line<'_>,
        connection: &Arc<Connection>,
        now: Timestamp,
    ) -> Result<(Reference, InboundEvent), Error> {
        let told = &line.told;
        let name = Reference::brought_with_key(&hex::encode(self.ring().license_hash(&line.key.normal())));
        // References of a file may repeat, and a name belongs to one sale: the first has it.
        let also = told.reference.as_deref().map(Reference::brought);
        let also = match also {
            Some(also) if write.orders_by_reference(&[(connection.id, also.clone())].into()).await?.is_empty() => {
                Some(also)
            }
            _ => None,
        };
        let ahead = self.ahead(line.whose.tenant, line.whose.livemode).await?;
        let issue = manual::Issue {
            reference: name.to_string(),
            email: told.email.clone(),
            name: told.name.as_deref().map(Into::into),
            plan: told.plan.clone().unwrap_or_else(|| domain::text::PlanCode::new("")),
            quantity: 1,
            send_email: told.send_email,
            at: told.created.unwrap_or_else(|| domain::time::after(now, ahead)),
            ends: match told.ends {
                Ends::At(end) => Some(end),
                Ends::ByPlan | Ends::Never => None,
            },
            has_key: true,
            also: also.map(|also| also.to_string()),
        };
        let event = Incoming {
            key: issue.reference.clone(),
            kind: manual::IMPORT.to_owned(),
            occurred_at: Some(issue.at),
            live: None,
            account: None,
            body: serde_json::to_string(&issue).map_err(Error::Document)?,
        };
        let id = InboundId::new(now, &mut *self.entropy());
        Ok((name, receive::kept(connection, &event, id, now)))
    }

    /// Has a license allow what it allowed where it comes from; what the audit log says of it.
    fn limit(
        &self,
        line: &Line<'_>,
        plan: &Plan,
        order: OrderId,
        license: &mut License,
        now: Timestamp,
    ) -> Vec<AuditEntry> {
        let Some(limits) = limits_of(&line.told, plan) else { return Vec::new() };
        let ruling = Ruling::Limits(Some(limits));
        let detail = json!({ "ruling": ruling, "note": null });
        let entry =
            self.told(line.whose.tenant, "ruling.limits", license.id.to_string(), Some(order), &detail, line.by);
        let entry = AuditEntry { license_id: Some(license.id.0), ..entry };
        domain::ruling::rule_license(license, ruling, now);
        vec![entry]
    }

    /// The note that came along, as one that was written here.
    fn note_of(&self, line: &Line<'_>, order: OrderId, license: LicenseId) -> Option<AuditEntry> {
        let detail = json!({ "note": line.told.note.as_ref()? });
        let told = self.told(line.whose.tenant, "license.noted", license.to_string(), Some(order), &detail, line.by);
        Some(AuditEntry { license_id: Some(license.0), ..told })
    }

    /// Writes what stands beside a license: its reference, its devices, its tags.
    async fn bring_along(
        &self,
        write: &Write,
        line: &Line<'_>,
        license: LicenseId,
        now: Timestamp,
    ) -> Result<(), Error> {
        let (told, tenant) = (&line.told, line.whose.tenant);
        if let Some(reference) = &told.reference {
            let metadata = Map::from_iter([(REFERENCE.to_owned(), Value::from(reference.as_str()))]);
            write.save_license_metadata(tenant, license, &metadata, now).await?;
        }
        let device = |fingerprint: &String| Activation {
            id: ActivationId::new(now, &mut *self.entropy()).0,
            tenant_id: tenant.0,
            license_id: license.0,
            kind: ActivationKind::Device.as_str().to_owned(),
            fingerprint: fingerprint.clone(),
            name: None,
            app_version: None,
            os: None,
            lease_until: None,
            created_at: now.as_microsecond(),
            last_seen_at: now.as_microsecond(),
        };
        write.save_activations(told.devices.iter().map(device).collect()).await?;
        write.save_tags(line.whose, license, told.tags.clone()).await?;
        Ok(())
    }
}

/// Why a line is not imported, with where it stands.
fn of_line(row: &ImportRow, why: &str) -> String {
    format!("line {}: {why}", row.line)
}
