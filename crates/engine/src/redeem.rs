//! Buyers who come from a marketplace: their code is traded for the name of their sale, and a page that only they can open
//! shows its keys, whether what they bought was delivered before or is delivered later.
//!
//! Codes, tokens and the provider's answers to them are never kept nor logged. What stays is what they came to: an event in
//! the inbox that says that the sale is bought, so that a buyer whose webhook was lost has an order all the same.

use std::sync::Arc;

use crypto::{
    key::LicenseKey,
    seal::{Place, Sealed},
};
use domain::{
    id::{ConnectionId, LicenseId, TenantId},
    license::{Holding, LicenseState},
    order::Contact,
    text::{EmailAddress, Reference},
    time::after,
};
use jiff::{SignedDuration, Timestamp};
use providers::{
    http::{Answer, Request},
    redeem::{BuyerNews, Grant, NotRedeemed},
};
use store::{
    StoredOrder,
    lists::{ListedLicense, Whose},
    outbox::status,
    rows::Mail,
};
use uuid::Uuid;

use crate::{Engine, Error, attention, connections::Connection, lookup::Asked};

/// How long a buyer's page can be opened. Whoever comes later opens it from the marketplace again.
const PAGE_OPENS_FOR: SignedDuration = SignedDuration::from_hours(1);
/// The longest code, in bytes.
const CODE_BYTES_MAX: usize = 512;
/// The longest name of a sale that a page is made for, in bytes.
const SALE_BYTES_MAX: usize = 200;
/// Bytes of an id, and of a time.
const ID_BYTES: usize = 16;
const TIME_BYTES: usize = 8;

/// What a buyer brought, and where.
#[derive(Clone, Copy)]
pub struct Brought<'a> {
    /// The slug of the marketplace.
    pub provider: &'a str,
    /// The slug of the vendor.
    pub tenant: &'a str,
    /// The code of the connection. None: the only one there is.
    pub connection: Option<&'a str>,
    /// The marketplace's code.
    pub code: &'a str,
    /// The address they were sent to.
    pub redirect_uri: &'a str,
}

/// Why a buyer gets no page.
#[derive(Debug, thiserror::Error)]
pub enum RedeemError {
    /// No buyers are expected there.
    #[error("no connection expects buyers there")]
    Unexpected,
    /// The marketplace says no.
    #[error(transparent)]
    Refused(#[from] NotRedeemed),
    /// The marketplace does not answer.
    #[error("the provider does not answer")]
    Unanswered,
    /// Something else.
    #[error(transparent)]
    Engine(#[from] Error),
}

/// What a buyer's page shows.
#[derive(Debug)]
pub struct BuyersPage {
    /// The marketplace's name.
    pub provider: &'static str,
    /// What they bought, as far as there are licenses of it.
    pub licenses: Vec<BuyersLicense>,
    /// Where its mails go.
    pub contact: Option<Contact>,
    /// Where a mail about it went: from then on that stays.
    pub mailed_to: Option<EmailAddress>,
    /// It is somebody else's now: neither its keys nor its addresses are for whoever bought it.
    pub is_handed_over: bool,
}

impl BuyersPage {
    const fn empty(provider: &'static str) -> Self {
        Self { provider, licenses: Vec::new(), contact: None, mailed_to: None, is_handed_over: false }
    }
}

/// A license as its buyer sees it.
#[derive(Debug)]
pub struct BuyersLicense {
    /// What buyers call the product.
    pub product: String,
    /// What buyers call the plan.
    pub plan: String,
    /// Its key, while it is good for something.
    pub key: Option<LicenseKey>,
    /// The end of the sentence "it cannot be used because…"; none while it can.
    pub problem: Option<String>,
}

/// What opens a page: a connection, and a sale of it.
struct Opened {
    connection: Arc<Connection>,
    sale: Reference,
}

impl Engine {
    /// Trades a buyer's code for the name of their sale, notes that it is bought, and makes the text that opens their page.
    ///
    /// # Errors
    /// Nobody expects buyers there, the marketplace refuses or does not answer, or those of the database.
    pub async fn redeem(&self, brought: Brought<'_>) -> Result<String, RedeemError> {
        let connections = self.connections().await?;
        let connection = expecting(&connections, brought).ok_or(RedeemError::Unexpected)?;
        let outcome = self.trade(connection, brought).await;
        match &outcome {
            Ok(_) => self.note_buyers(connection, true).await?,
            Err(RedeemError::Refused(NotRedeemed::Client)) => self.note_buyers(connection, false).await?,
            Err(_) => {}
        }
        if let Err(error) = &outcome {
            tracing::warn!(connection = %connection.id, %error, "a buyer could not be shown what they bought");
        }
        Ok(self.page_of(connection, &outcome?))
    }

    /// The name of the buyer's sale, after the inbox has what the marketplace said of it.
    async fn trade(&self, connection: &Connection, brought: Brought<'_>) -> Result<Reference, RedeemError> {
        let (Some(client), Some(buyers)) = (&connection.oauth_client, connection.provider.redeem()) else {
            return Err(RedeemError::Unexpected);
        };
        let is_code = |byte: u8| byte.is_ascii_graphic();
        if !(1..=CODE_BYTES_MAX).contains(&brought.code.len()) || !brought.code.bytes().all(is_code) {
            return Err(NotRedeemed::Code.into());
        }
        let grant = Grant { client, code: brought.code, redirect_uri: brought.redirect_uri };
        let answer = self.ask_once(connection, buyers.ask_token(&grant)).await?;
        let token = buyers.token(answer.status, &answer.body)?;
        let answer = self.ask_once(connection, buyers.ask_sale(&token)).await?;
        let redeemed = buyers.sale(answer.status, &answer.body)?;
        if redeemed.sale.as_str().len() > SALE_BYTES_MAX {
            return Err(NotRedeemed::Unclear { status: answer.status }.into());
        }
        if redeemed.is_bought {
            self.enter(connection, buyers.event(&redeemed.sale, &BuyerNews::Bought, self.now())).await?;
        }
        Ok(redeemed.sale)
    }

    /// A code is good once, so nothing is tried again. What went wrong is not told: it could name what was asked.
    async fn ask_once(&self, connection: &Connection, request: Request) -> Result<Answer, RedeemError> {
        match self.ask_in_turn(connection, request).await {
            Asked::Final(answer) => Ok(answer),
            Asked::Again(..) => Err(RedeemError::Unanswered),
        }
    }

    /// A person must look where buyers are refused, until one is not.
    async fn note_buyers(&self, connection: &Connection, is_fine: bool) -> Result<(), Error> {
        let now = self.now();
        let once = || async {
            let write = self.store.begin().await?;
            if is_fine {
                let subjects = vec![connection.id.to_string()];
                write.close_items_about(connection.tenant, attention::BUYERS_REFUSED, subjects, now).await?;
            } else {
                write.open_items(vec![attention::buyers_refused(connection, now, &mut *self.entropy())]).await?;
            }
            Ok(write.commit().await?)
        };
        store::repeat(once, Error::is_conflict).await
    }

    /// The text that opens the page of a sale, for a while.
    fn page_of(&self, connection: &Connection, sale: &Reference) -> String {
        let until = after(self.now(), PAGE_OPENS_FOR).as_second();
        let text = [&until.to_be_bytes()[..], sale.as_str().as_bytes()].concat();
        let place = Place::buyers_page(connection.tenant, connection.id.0);
        let Sealed(sealed) = self.ring().seal(place, &text, &mut *self.entropy());
        hex::encode([&connection.id.0.as_bytes()[..], &sealed].concat())
    }

    /// None: the text opens nothing, or no longer.
    async fn open_page(&self, text: &str) -> Result<Option<Opened>, Error> {
        let connections = self.connections().await?;
        let opened = (|| {
            let bytes = hex::decode(text).ok()?;
            let (id, sealed) = bytes.split_at_checked(ID_BYTES)?;
            let connection = crate::connections::find(&connections, ConnectionId(Uuid::from_slice(id).ok()?))?;
            let place = Place::buyers_page(connection.tenant, connection.id.0);
            let plain = self.ring().open(place, sealed).ok()?;
            let (until, sale) = plain.split_first_chunk::<TIME_BYTES>()?;
            let until = Timestamp::from_second(i64::from_be_bytes(*until)).ok()?;
            let sale = Reference::from(str::from_utf8(sale).ok()?);
            (self.now() < until).then(|| Opened { connection: Arc::clone(connection), sale })
        })();
        Ok(opened)
    }

    /// What the buyer sees whose page this text opens. None: it opens nothing, or no longer.
    ///
    /// That they came is in the inbox; looking again is not noted each time.
    ///
    /// # Errors
    /// Those of the database, or a key does not open.
    pub async fn buyers_page(&self, text: &str) -> Result<Option<BuyersPage>, Error> {
        let Some(opened) = self.open_page(text).await? else { return Ok(None) };
        let provider = opened.connection.provider.info().name;
        let Some((order, licenses)) = self.order_of(&opened).await? else {
            return Ok(Some(BuyersPage::empty(provider)));
        };
        let shown = self.shown_to_buyer(opened.connection.tenant, &licenses).await?;
        let mailed_to = self.mailed_to(&licenses).await?;
        // All this was read first: what was written as the sale was handed over is found to be somebody else's.
        let is_handed_over = match self.order_of(&opened).await? {
            Some((order, _)) => order.order.handed_over.is_some(),
            None => false,
        };
        if is_handed_over {
            return Ok(Some(BuyersPage { is_handed_over, ..BuyersPage::empty(provider) }));
        }
        let contact = order.order.mailed_to().cloned();
        Ok(Some(BuyersPage { licenses: shown, contact, mailed_to, ..BuyersPage::empty(provider) }))
    }

    /// The licenses of a sale, with the keys that are good for something.
    async fn shown_to_buyer(&self, tenant: TenantId, licenses: &[ListedLicense]) -> Result<Vec<BuyersLicense>, Error> {
        let (products, plans) = (self.store.products(tenant).await?, self.store.plans(tenant).await?);
        let mut shown = Vec::new();
        for ListedLicense { license, .. } in licenses.iter().filter(|listed| listed.license.holding == Holding::Unit) {
            let plan = plans.iter().find(|row| row.id == license.plan.plan.0);
            let product = products.iter().find(|row| row.id == license.plan.product.0);
            let is_usable = license.standing.state == LicenseState::Active;
            shown.push(BuyersLicense {
                product: product.map(|row| row.name.clone()).unwrap_or_default(),
                plan: plan.map(|row| row.name.clone()).unwrap_or_default(),
                key: if is_usable { self.reveal(tenant, license.id).await? } else { None },
                problem: (!is_usable).then(|| license.standing.reason.sentence()),
            });
        }
        Ok(shown)
    }

    /// The order of a sale with its licenses, if it is there.
    async fn order_of(&self, opened: &Opened) -> Result<Option<(StoredOrder, Vec<ListedLicense>)>, Error> {
        let Opened { connection, sale } = opened;
        let Some((id, _)) = self.store.order_licenses(connection.id, sale).await? else { return Ok(None) };
        let whose = Whose { tenant: connection.tenant, livemode: connection.mode.is_live() };
        Ok(self.store.order(whose, id).await?)
    }

    /// Where a mail about one of these was sent, or is being sent now.
    async fn mailed_to(&self, licenses: &[ListedLicense]) -> Result<Option<EmailAddress>, Error> {
        let licenses: Vec<LicenseId> = licenses.iter().map(|listed| listed.license.id).collect();
        let now = self.now().as_microsecond();
        let mails = self.store.snapshot().await?.mails(&licenses).await?;
        let went = |mail: &Mail| mail.status == status::SENT || mail.lease_until.is_some_and(|until| until > now);
        Ok(mails.iter().filter(|mail| went(mail)).find_map(|mail| EmailAddress::parse(&mail.recipient).ok()))
    }

    /// The buyer whose page this text opens says where mails go. The last address counts until a mail went out, so that one
    /// that is mistyped can be corrected; from then on it stays, and the vendor helps.
    ///
    /// Nobody else can: the text is sealed, and made only for whoever brought a code of that very sale. Whoever has it sees the
    /// key on the page and gains none by having it mailed; what is kept from them is where later mails go. Once the sale is
    /// somebody else's, it is for them to say.
    ///
    /// False: it opens nothing.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn buyers_contact(&self, text: &str, email: EmailAddress) -> Result<bool, Error> {
        let Some(opened) = self.open_page(text).await? else { return Ok(false) };
        let may_be_given = match self.order_of(&opened).await? {
            None => true,
            Some((order, _)) if order.order.handed_over.is_some() => false,
            Some((order, licenses)) => {
                let is_new = order.order.mailed_to().is_none_or(|known| known.email != email);
                is_new && self.mailed_to(&licenses).await?.is_none()
            }
        };
        if let (true, Some(buyers)) = (may_be_given, opened.connection.provider.redeem()) {
            let news = BuyerNews::Contact(Contact { email, name: None });
            self.enter(&opened.connection, buyers.event(&opened.sale, &news, self.now())).await?;
        }
        Ok(true)
    }
}

/// The connection that buyers are expected at.
fn expecting<'c>(connections: &'c [Arc<Connection>], brought: Brought<'_>) -> Option<&'c Arc<Connection>> {
    let mut expecting = connections.iter().filter(|connection| {
        connection.provider.info().slug == brought.provider
            && connection.tenant_slug == brought.tenant
            && connection.expects_buyers()
            && brought.connection.is_none_or(|code| connection.code == code)
    });
    let only = expecting.next()?;
    expecting.next().is_none().then_some(only)
}
