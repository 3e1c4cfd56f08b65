//! What templates know: every value, and the sentences made of them, so that text and HTML say the same.

use domain::{
    id::InboundId,
    license::{License, LicenseState},
    mail::MailKind,
    plan::Limits,
    text::Reference,
    time::days,
};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use store::outbox::Contents;

use super::{
    Addresses, Words, clean,
    language::{Language, Sentences, say},
    notices,
};
use crate::brand::{self, Brand};

/// A subscription whose paid period is not known yet is good for three days (`domain::fulfil`). That end is about to
/// move, so no mail names one that is as close.
const TOO_CLOSE: SignedDuration = days(3);

/// The longest reference of an order that a person would read out.
const REFERENCE_MAX: usize = 40;

/// A link and the words on it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Link {
    pub(super) label: String,
    pub(super) url: String,
}

/// How to ask.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Questions {
    /// What comes before the link, or all there is.
    pub(super) lead: String,
    /// Where to ask.
    pub(super) link: Option<Link>,
}

/// What a kind of mail says in its own words.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) subject: String,
    /// The first sentences; in the mail with a key, those before it.
    pub(super) intro: String,
    /// Something that is otherwise than the reader expects.
    pub(super) notice: Option<String>,
    /// What follows.
    pub(super) paragraphs: Vec<String>,
    /// Why the license is in its state, where that is what the mail is about.
    pub(super) reason: Option<String>,
    /// The day that the mail is about, if there is one.
    pub(super) day: Option<String>,
}

/// What the templates know. The names are the ones that vendors write into their own templates: they are never taken away.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Page {
    /// The kind of mail.
    pub(super) kind: &'static str,
    /// The language's code.
    pub(super) language: &'static str,
    /// What the buyer is called.
    pub(super) name: Option<String>,
    /// The product.
    pub(super) product: String,
    /// The plan.
    pub(super) plan: Option<String>,
    /// Product and plan.
    pub(super) title: String,
    /// The key, in the mail that delivers it.
    pub(super) key: Option<String>,
    /// What may be shown of the key, in every mail.
    pub(super) key_hint: Option<String>,
    /// What to name when asking.
    pub(super) order: String,
    /// When the license was issued.
    pub(super) date: String,
    /// No money was involved.
    pub(super) is_test: bool,
    /// Why the license is in its state; `day` is when, or the end that the mail tells of.
    pub(super) reason: Option<String>,
    pub(super) day: Option<String>,

    // Sentences.
    pub(super) subject: String,
    pub(super) greeting: Option<String>,
    pub(super) intro: String,
    pub(super) notice: Option<String>,
    pub(super) paragraphs: Vec<String>,
    pub(super) button: Option<Link>,
    pub(super) links: Vec<Link>,
    pub(super) closing: Vec<String>,
    pub(super) questions: Option<Questions>,

    // The brand.
    pub(super) download_url: Option<String>,
    pub(super) docs_url: Option<String>,
    pub(super) portal_url: Option<String>,
    pub(super) support_url: Option<String>,
    pub(super) logo_url: Option<String>,
    pub(super) footer: Option<String>,
    pub(super) colour: String,
    pub(super) text_on_colour: &'static str,
    /// Around the button: its own colour, or one that shows it on white.
    pub(super) edge: String,

    /// The values of the documented mail, under its own names (A19, A20).
    #[serde(rename = "licenseKey")]
    pub(super) documented_key: Option<String>,
    #[serde(rename = "planName")]
    pub(super) documented_plan: Option<String>,
    #[serde(rename = "docsUrl")]
    pub(super) documented_docs: Option<String>,
}

/// What a page is made of.
pub(super) struct Material<'a> {
    pub(super) kind: MailKind,
    pub(super) language: Language,
    pub(super) contents: &'a Contents,
    pub(super) brand: &'a Brand,
    pub(super) words: &'a Words,
    pub(super) addresses: &'a Addresses,
    /// The key in clear, where the mail delivers it.
    pub(super) key: Option<&'a str>,
}

impl Material<'_> {
    /// The page. None: what the mail tells is not so any more.
    pub(super) fn page(&self) -> Option<Page> {
        let Contents { license, plan, livemode, .. } = self.contents;
        let (product, plan_name) = (self.words.product.clone(), clean::line(&plan.name));
        let title = title(&product, plan_name.as_deref());
        let colour = self.brand.colour();
        let message = self.message(&title)?;
        let key_hint = self.contents.keys.first().map(|row| row.hint.clone());
        let docs_url = brand::link(self.brand.docs_url.as_deref());
        Some(Page {
            kind: self.kind.as_str(),
            language: self.language.code(),
            name: self.words.name.clone(),
            plan: plan_name.clone(),
            key: self.key.map(str::to_owned),
            order: order(self.contents),
            date: self.language.day(license.issued_at),
            is_test: !livemode,
            reason: message.reason,
            day: message.day,
            subject: message.subject,
            greeting: self.words.name.as_deref().map(|name| say(self.sentences().greeting, &[("name", name)])),
            intro: message.intro,
            notice: message.notice,
            paragraphs: message.paragraphs,
            button: self.button(),
            links: self.links(),
            closing: self.closing(key_hint.as_deref()),
            questions: self.questions(),
            download_url: brand::link(self.brand.download_url.as_deref()),
            docs_url: docs_url.clone(),
            portal_url: brand::link(self.brand.portal_url.as_deref()),
            support_url: brand::support(self.brand.support_url.as_deref()),
            logo_url: self.brand.logo(),
            footer: self.brand.footer.as_deref().and_then(clean::lines),
            colour: colour.css(),
            text_on_colour: colour.text_on_it(),
            edge: colour.edge(),
            documented_key: self.key.map(str::to_owned),
            documented_plan: plan_name,
            documented_docs: docs_url,
            product,
            title,
            key_hint,
        })
    }

    pub(super) const fn sentences(&self) -> &'static Sentences {
        self.language.sentences()
    }

    pub(super) fn day(&self, at: Timestamp) -> String {
        self.language.day(at)
    }

    fn message(&self, title: &str) -> Option<Message> {
        match self.kind {
            MailKind::LicenseDelivery => Some(self.delivery(title)),
            MailKind::LicenseRenewed => notices::renewed(self, title),
            MailKind::LicenseExpiring => notices::expiring(self, title),
            MailKind::PaymentProblem => notices::payment_problem(self, title),
            MailKind::LicenseFrozen => notices::frozen(self, title),
            MailKind::LicenseRevoked => notices::revoked(self, title),
        }
    }

    fn delivery(&self, title: &str) -> Message {
        let (sentences, product) = (self.sentences(), ("product", self.words.product.as_str()));
        let license = &self.contents.license;
        let allowance = allowance(sentences, &license.limits(&self.contents.plan.terms.limits));
        let start = if self.brand.download_url.is_some() { sentences.download_and_start } else { sentences.start };
        let about: Vec<String> = allowance.into_iter().chain([self.term(license)]).collect();
        Message {
            subject: say(sentences.delivery_subject, &[product]),
            intro: say(sentences.delivery_intro, &[("title", title)]),
            notice: self.not_active(license),
            paragraphs: vec![about.join(" "), say(start, &[product])],
            reason: None,
            day: None,
        }
    }

    fn term(&self, license: &License) -> String {
        let (standing, sentences) = (&license.standing, self.sentences());
        let until = |sentence: &str, until| say(sentence, &[("day", &self.day(until))]);
        match standing.until {
            Some(end) if !license.unit.recurring || standing.final_end().is_some() => until(sentences.term_until, end),
            Some(end) if end.duration_since(license.issued_at) > TOO_CLOSE => until(sentences.term_until_renews, end),
            _ if license.unit.recurring => sentences.term_renews.to_owned(),
            _ => sentences.term_forever.to_owned(),
        }
    }

    /// A key may leave after its license has changed: its mail was held, or money went back meanwhile.
    fn not_active(&self, license: &License) -> Option<String> {
        let sentence = match license.standing.state {
            LicenseState::Active => return None,
            LicenseState::Frozen => self.sentences().now_frozen,
            LicenseState::Expired => self.sentences().now_expired,
            LicenseState::Revoked => self.sentences().now_revoked,
        };
        Some(say(sentence, &[("reason", &notices::reason(self, &license.standing.reason))]))
    }

    fn button(&self) -> Option<Link> {
        let product = ("product", self.words.product.as_str());
        let (label, url) = match self.kind {
            MailKind::LicenseDelivery => (self.sentences().download, &self.brand.download_url),
            _ => (self.sentences().manage, &self.brand.portal_url),
        };
        Some(Link { label: say(label, &[product]), url: brand::link(url.as_deref())? })
    }

    fn links(&self) -> Vec<Link> {
        let own = [
            (self.sentences().docs, self.brand.docs_url.as_deref()),
            (self.sentences().portal, self.brand.portal_url.as_deref()),
        ];
        let wanted = if self.kind == MailKind::LicenseDelivery { &own[..] } else { &[] };
        let link =
            |(label, url): &(&str, Option<&str>)| Some(Link { label: (*label).to_owned(), url: brand::link(*url)? });
        wanted.iter().filter_map(link).collect()
    }

    /// What helps whoever is asked.
    fn closing(&self, key_hint: Option<&str>) -> Vec<String> {
        let (sentences, contents) = (self.sentences(), self.contents);
        let day = self.day(contents.license.issued_at);
        let key = key_hint.filter(|_| self.key.is_none()).map(|key| say(sentences.key_hint, &[("key", key)]));
        let order = say(sentences.order, &[("order", &order(contents)), ("day", &day)]);
        let test = (!contents.livemode).then(|| sentences.test.to_owned());
        key.into_iter().chain([order]).chain(test).collect()
    }

    fn questions(&self) -> Option<Questions> {
        let sentences = self.sentences();
        let asked = |lead: &str, label: &str, url| Questions {
            lead: lead.to_owned(),
            link: Some(Link { label: label.to_owned(), url }),
        };
        match (brand::support(self.brand.support_url.as_deref()), self.addresses.somebody_answers()) {
            (Some(url), true) => Some(asked(sentences.reply_or_ask, sentences.ask, url)),
            (Some(url), false) => Some(asked(sentences.ask_only, sentences.ask_only_link, url)),
            (None, true) => Some(Questions { lead: sentences.reply.to_owned(), link: None }),
            (None, false) => None,
        }
    }
}

/// Product and plan. What both names say is said once: a plan may have its product's name in its own, or begin with the
/// words that the product's ends with.
fn title(product: &str, plan: Option<&str>) -> String {
    let Some(plan) = plan else { return product.to_owned() };
    if plan.to_lowercase().contains(&product.to_lowercase()) {
        return plan.to_owned();
    }
    let plain = |word: &str| word.trim_end_matches(|symbol: char| symbol.is_ascii_punctuation()).to_lowercase();
    let words: Vec<&str> = product.split(' ').collect();
    let begins = |ending: &[&str]| {
        let mut of_plan = plan.split(' ').map(plain);
        ending.iter().all(|word| of_plan.next() == Some(plain(word)))
    };
    let own = (0..words.len()).find(|own| words.get(*own..).is_some_and(begins)).unwrap_or(words.len());
    words.into_iter().take(own).chain([plan]).collect::<Vec<_>>().join(" ")
}

fn allowance(sentences: &Sentences, limits: &Limits) -> Option<String> {
    match limits.activations {
        None => Some(sentences.allowance_any.to_owned()),
        Some(0) => None,
        Some(1) => Some(sentences.allowance_one.to_owned()),
        Some(count) => Some(say(sentences.allowance_many, &[("count", &count.to_string())])),
    }
}

/// The name of the order that is easiest to read out: its shortest one, otherwise our own. Of what was issued by call it is
/// the caller's reference; one that was made up here says nothing to anybody.
fn order(contents: &Contents) -> String {
    let told = |reference: &Reference| match reference.of_caller() {
        Some(own) => own.parse::<InboundId>().is_err().then(|| clean::line(own))?,
        None => clean::line(reference.as_str()),
    };
    let names = contents.references.iter().filter_map(told);
    let shortest = names.min_by_key(|name| (name.len(), name.clone())).filter(|name| name.len() <= REFERENCE_MAX);
    shortest.unwrap_or_else(|| contents.order.to_string())
}

#[cfg(test)]
mod tests;
