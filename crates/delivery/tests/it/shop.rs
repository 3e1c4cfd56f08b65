//! A vendor with a product, and licenses that were just sold: rows as the engine writes them.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering},
    },
};

use crypto::{
    key::{LicenseKey, Prefix},
    ring::{KeyRing, SharedRing},
    seal::Place,
};
use delivery::{MailParts, MailWorker, Smtp, Transport};
use domain::{
    Entropy,
    ambient::{Clock, EntropySource},
    id::{ConnectionId, LicenseId, MailId, MailTemplateId, OrderId, PlanId, ProductId, TenantId, uuid_v7},
    license::{Holding, License, LicenseState, Rulings, Standing, Unit},
    order::{Contact, Order},
    plan::{AddOn, PlanVersion},
    reason::Reason,
    text::{EmailAddress, PriceReference, Reference},
};
use jiff::{SignedDuration, Timestamp};
use store::{
    Store, StoredOrder,
    rows::{self, AttentionItem, Mail},
    testing::TestDatabase,
};
use tokio::sync::Notify;

/// A clock that stands until it is moved.
pub(crate) struct ManualClock(AtomicI64);

impl ManualClock {
    pub(crate) fn advance(&self, span: SignedDuration) {
        self.0.fetch_add(i64::try_from(span.as_micros()).unwrap(), Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_microsecond(self.0.load(Ordering::Relaxed)).unwrap()
    }
}

/// Numbers that look random and are the same on every run (splitmix64), and how many were counted.
struct Seeds(Arc<AtomicU64>, Arc<AtomicU32>);

impl Entropy for Seeds {
    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let mut z = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            chunk.copy_from_slice(&(z ^ (z >> 31)).to_le_bytes()[..chunk.len()]);
        }
    }

    fn serial(&mut self) -> Option<u32> {
        Some(self.1.fetch_add(1, Ordering::Relaxed))
    }
}

impl EntropySource for Seeds {
    fn entropy(&self) -> Box<dyn Entropy> {
        Box::new(Self(Arc::clone(&self.0), Arc::clone(&self.1)))
    }
}

/// A license that was sold.
pub(crate) struct Sold {
    pub(crate) mail: MailId,
    pub(crate) license: LicenseId,
    pub(crate) order: OrderId,
    /// In clear: what the buyer must get, and nobody else.
    pub(crate) key: String,
}

/// The vendor.
pub(crate) struct Shop {
    pub(crate) database: TestDatabase,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) tenant: TenantId,
    pub(crate) wake: Arc<Notify>,
    pub(crate) ring: SharedRing,
    entropy: Arc<Seeds>,
    plan: PlanVersion,
}

impl Shop {
    pub(crate) async fn open(database: TestDatabase) -> Self {
        let clock = Arc::new(ManualClock(AtomicI64::new(1_795_262_400_000_000)));
        let entropy = Arc::new(Seeds(Arc::new(AtomicU64::new(42)), Arc::default()));
        let now = clock.now();
        let mut random = entropy.entropy();
        let tenant = TenantId::new(now, &mut *random);
        let (plan, product) = (PlanId::new(now, &mut *random), ProductId::new(now, &mut *random));
        let shop = Self {
            ring: SharedRing::new(KeyRing::generate(&mut *random)),
            plan: PlanVersion { plan, version: 1, product },
            wake: Arc::new(Notify::new()),
            database,
            clock,
            tenant,
            entropy,
        };
        shop.furnish(now.as_microsecond()).await;
        shop
    }

    async fn furnish(&self, created_at: i64) {
        let tenant_id = self.tenant.0;
        let write = self.store().begin().await.unwrap();
        let tenant = rows::Tenant {
            id: tenant_id,
            slug: "acme".into(),
            name: "Acme".into(),
            status: "active".into(),
            account: "{}".into(),
            catalogue_revision: 1,
            test_clock_ahead: 0,
            deliveries_kept_days: None,
            requires_second_factor: false,
            created_at,
        };
        write.save_tenant(tenant).await.unwrap();
        write.save_product(self.product(r#"{"download_url":"https://acme.test/download"}"#, created_at)).await.unwrap();
        let plan = rows::Plan {
            id: self.plan.plan.0,
            version: 1,
            tenant_id,
            product_id: self.plan.product.0,
            code: "pro".into(),
            name: "Pro".into(),
            terms: "{}".into(),
            created_at,
        };
        write.save_plan(plan).await.unwrap();
        write.commit().await.unwrap();
    }

    fn product(&self, brand: &str, created_at: i64) -> rows::Product {
        rows::Product {
            id: self.plan.product.0,
            tenant_id: self.tenant.0,
            code: "studio".into(),
            name: "Acme Studio".into(),
            key_prefix: "ACME".into(),
            brand: brand.into(),
            created_at,
        }
    }

    /// Gives the product another brand.
    pub(crate) async fn brand(&self, brand: &str) {
        let write = self.store().begin().await.unwrap();
        write.save_product(self.product(brand, self.now().as_microsecond())).await.unwrap();
        write.commit().await.unwrap();
    }

    pub(crate) fn store(&self) -> &Store {
        &self.database.store
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(crate) fn entropy(&self) -> Arc<dyn EntropySource> {
        Arc::clone(&self.entropy) as Arc<dyn EntropySource>
    }

    pub(crate) fn worker(&self, sender: Option<Smtp>) -> Arc<MailWorker> {
        self.worker_with(sender.map(Transport::from))
    }

    /// The same, for any way that mails may leave.
    pub(crate) fn worker_with(&self, sender: Option<Transport>) -> Arc<MailWorker> {
        Arc::new(MailWorker::new(MailParts {
            store: self.store().clone(),
            ring: self.ring.clone(),
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
            entropy: Arc::clone(&self.entropy) as Arc<dyn EntropySource>,
            sender,
            wake: Arc::clone(&self.wake),
            lease: jiff::SignedDuration::from_secs(120),
        }))
    }

    /// A license with its key and its mail, all in one transaction.
    pub(crate) async fn sell(&self, recipient: &str) -> Sold {
        let now = self.clock.now();
        let mut random = self.entropy.entropy();
        let sold = Sold {
            mail: MailId::new(now, &mut *random),
            license: LicenseId::new(now, &mut *random),
            order: OrderId::new(now, &mut *random),
            key: LicenseKey::generate(&Prefix::new("ACME").unwrap(), &mut *random).reveal().to_owned(),
        };
        let order = self.order(&sold, now, &mut *random);
        let reference = Reference::new(format!("pi_{}", sold.order));
        let write = self.store().begin().await.unwrap();
        write.save_orders(std::slice::from_ref(&order), now).await.unwrap();
        write.add_references(vec![(order.connection, reference, sold.order)]).await.unwrap();
        write.add_license_keys(vec![self.key_row(&sold, now, &mut *random)]).await.unwrap();
        write.add_mails(vec![self.mail_row(&sold, recipient, now)]).await.unwrap();
        write.commit().await.unwrap();
        sold
    }

    fn order(&self, sold: &Sold, now: Timestamp, random: &mut dyn Entropy) -> StoredOrder {
        StoredOrder {
            id: sold.order,
            tenant: self.tenant,
            connection: ConnectionId::new(now, random),
            livemode: true,
            customer: None,
            order: Order { references: BTreeSet::new(), ..Order::default() },
            licenses: vec![self.license(sold, now)],
            due_at: None,
            merged_into: None,
            created_at: now,
        }
    }

    fn license(&self, sold: &Sold, now: Timestamp) -> License {
        License {
            id: sold.license,
            origin: sold.order,
            slot: 0,
            issued_at: now,
            unit: Unit {
                source: Reference::new("cs_1"),
                subscribed: false,
                line: Reference::new("li_1"),
                price: PriceReference::new("price_1"),
                product: None,
                recurring: false,
                plan: Some(self.plan),
                seats: 1,
                added: AddOn::default(),
            },
            plan: self.plan,
            standing: Standing {
                state: LicenseState::Active,
                reason: Reason::Paid,
                until: None,
                at_risk: false,
                scheduled: None,
                next_check: None,
                open: Vec::new(),
                downgraded: false,
            },
            rulings: Rulings::default(),
            holding: Holding::Unit,
            announced: true,
            expiry_told: None,
            keys: 1,
        }
    }

    fn key_row(&self, sold: &Sold, now: Timestamp, random: &mut dyn Entropy) -> rows::LicenseKey {
        let ring = self.ring.get();
        let key = LicenseKey::as_written(&sold.key).unwrap();
        let id = uuid_v7(now, random);
        let sealed = ring.seal(Place::license_key(self.tenant, id), sold.key.as_bytes(), random);
        rows::LicenseKey {
            id,
            tenant_id: self.tenant.0,
            license_id: sold.license.0,
            hash: ring.license_hash(&key.normal()).to_vec(),
            sealed: sealed.0,
            sealed_by: String::new(),
            hint: key.masked(),
            ending: key.ending(),
            created_at: now.as_microsecond(),
            closes_at: None,
        }
    }

    fn mail_row(&self, sold: &Sold, recipient: &str, now: Timestamp) -> Mail {
        Mail {
            id: sold.mail.0,
            tenant_id: self.tenant.0,
            kind: "license-delivery".into(),
            occasion: String::new(),
            license_id: sold.license.0,
            order_id: sold.order.0,
            recipient: recipient.to_owned(),
            recipient_name: Some("Ada Lovelace".into()),
            status: "pending".into(),
            attempts: 0,
            unanswered: 0,
            next_attempt_at: Some(now.as_microsecond()),
            lease_token: None,
            lease_until: None,
            response: None,
            created_at: now.as_microsecond(),
            sent_at: None,
        }
    }

    /// Has a mail sent once more.
    pub(crate) async fn send_again(&self, mail: MailId) {
        let write = self.store().begin().await.unwrap();
        assert!(write.send_mail_again(self.tenant, mail, None, self.now()).await.unwrap());
        write.commit().await.unwrap();
    }

    /// Has all held mails sent.
    pub(crate) async fn release(&self) -> u64 {
        let write = self.store().begin().await.unwrap();
        let released = write.release_mails(self.tenant, self.now()).await.unwrap();
        write.commit().await.unwrap();
        released
    }

    /// Corrects the address of a buyer, and has the mail with the key sent once more where one went out.
    pub(crate) async fn correct(&self, sold: &Sold, recipient: &str) {
        let to = Contact { email: EmailAddress::parse(recipient).unwrap(), name: None };
        let write = self.store().begin().await.unwrap();
        write.redirect_mails(vec![sold.license], &to, self.now()).await.unwrap();
        write.send_mails_again(vec![sold.license], "license-delivery", &to, self.now()).await.unwrap();
        write.commit().await.unwrap();
    }

    /// A mail about what happened to a license.
    pub(crate) async fn notice(&self, sold: &Sold, kind: &str) -> MailId {
        let now = self.clock.now();
        let id = MailId::new(now, &mut *self.entropy.entropy());
        let row = Mail {
            id: id.0,
            kind: kind.to_owned(),
            occasion: id.to_string(),
            ..self.mail_row(sold, "ada@example.com", now)
        };
        let write = self.store().begin().await.unwrap();
        write.add_mails(vec![row]).await.unwrap();
        write.commit().await.unwrap();
        id
    }

    /// What the vendor wrote for the mail with the key.
    pub(crate) async fn write_template(&self, subject: &str, text: &str) -> MailTemplateId {
        let now = self.clock.now();
        let id = MailTemplateId::new(now, &mut *self.entropy.entropy());
        let row = rows::MailTemplate {
            id: id.0,
            tenant_id: self.tenant.0,
            product_id: self.plan.product.0,
            kind: "license-delivery".into(),
            language: "en".into(),
            version: 1,
            subject: Some(subject.to_owned()),
            intro: None,
            body_text: Some(text.to_owned()),
            body_html: None,
            active: true,
            actor: "test".into(),
            created_at: now.as_microsecond(),
        };
        let write = self.store().begin().await.unwrap();
        write.save_mail_templates(vec![row]).await.unwrap();
        write.commit().await.unwrap();
        id
    }

    /// No template counts any more.
    pub(crate) async fn clear_templates(&self) {
        let write = self.store().begin().await.unwrap();
        let rows = write.mail_templates(self.tenant).await.unwrap();
        let version = i32::try_from(rows.len()).unwrap() + 1;
        let counts = rows.into_iter().filter(|row| row.active);
        let rows = counts.map(|row| rows::MailTemplate { active: false, version, ..row }).collect();
        write.save_mail_templates(rows).await.unwrap();
        write.commit().await.unwrap();
    }

    /// One license stands for another one from now on, and its keys are moved there.
    pub(crate) async fn supersede(&self, loser: &Sold, survivor: &Sold) {
        let now = self.clock.now();
        let mut order = self.order(loser, now, &mut *self.entropy.entropy());
        order.licenses[0].holding = Holding::SupersededBy(survivor.license);
        let write = self.store().begin().await.unwrap();
        write.save_orders(&[order], now).await.unwrap();
        write.move_license_keys(loser.license, survivor.license).await.unwrap();
        write.commit().await.unwrap();
    }

    /// The row of a mail.
    pub(crate) async fn mail(&self, id: MailId) -> Mail {
        self.store().mail(id).await.unwrap().unwrap()
    }

    /// The kinds of what needs a person, in the order of the alphabet.
    pub(crate) async fn open_items(&self) -> Vec<String> {
        let mut kinds: Vec<String> = self.attention().await.into_iter().map(|item| item.kind).collect();
        kinds.sort();
        kinds
    }

    /// Open items: kind and sentence.
    pub(crate) async fn attention(&self) -> Vec<AttentionItem> {
        self.store().attention(self.tenant, 10).await.unwrap()
    }
}
