//! A vendor with members, and the browsers in which they look at the console.

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::ConnectInfo,
    http::{HeaderMap, Method, Request, header},
    response::Response,
};
use crypto::ring::{KeyRing, SharedRing};
use domain::{
    ambient::EntropySource,
    id::TenantId,
    member::Role,
    text::{EmailAddress, PlanCode},
};
use engine::{
    Engine, Parts,
    backups::Plan,
    configuration::ConfigurationFile,
    issue::IssueRequest,
    members::{CameFrom, NewMember},
    rulings::By,
    testing::{ManualClock, RefusingDialler, SeededEntropy, TestProvider},
};
use jiff::{SignedDuration, Timestamp};
use store::testing::TestDatabase;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;
use web::Web;

use crate::simulated::Playwright;

const NOW: i64 = 1_795_219_200;
/// The password of every member.
pub(crate) const PASSWORD: &str = "correct horse";

const SHOP: &str = r#"
    product = [{ code = "studio", name = "Halo Studio", key_prefix = "ACME" }]
    plan = [
        { code = "pro", product = "studio", name = "Pro", activations = 3 },
        { code = "year", product = "studio", name = "Year", duration_days = 365 },
    ]
"#;

/// A vendor, and another one that has nothing to do with it.
pub(crate) struct Office {
    pub(crate) engine: Arc<Engine>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) provider: Arc<TestProvider>,
    pub(crate) tenant: TenantId,
    pub(crate) router: Router,
    pub(crate) simulator: Arc<Playwright>,
    stop: CancellationToken,
    database: TestDatabase,
}

impl Drop for Office {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Page {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    /// Where the browser is sent.
    pub(crate) fn leads_to(&self) -> &str {
        assert_eq!(self.status, 303, "{}", self.text);
        self.header("location")
    }

    pub(crate) fn says(&self, words: &str) -> bool {
        self.text.contains(words)
    }
}

/// A browser: what it keeps, it sends.
pub(crate) struct Browser<'o> {
    office: &'o Office,
    pub(crate) kept: String,
}

impl Office {
    pub(crate) async fn open() -> Self {
        let database = TestDatabase::sqlite().await;
        let entropy = SeededEntropy::new(1);
        let clock = Arc::new(ManualClock::at(Timestamp::from_second(NOW).unwrap()));
        let provider = Arc::new(TestProvider::default());
        let ring = SharedRing::new(KeyRing::generate(&mut *entropy.entropy()));
        let engine = Engine::new(Parts {
            store: database.store.clone(),
            ring: ring.clone(),
            clock: clock.clone(),
            entropy: Arc::new(entropy),
            dialler: Arc::new(RefusingDialler),
            addresses: Arc::new(engine::testing::TestAddresses),
            identity: provider.clone(),
            lease: SignedDuration::from_secs(120),
        });
        let tenant = engine.ensure_tenant("default", "Acme").await.unwrap();
        let simulator = Arc::new(Playwright::default());
        let router = web::router(Web {
            engine: engine.clone(),
            ring,
            sender: None,
            open: false,
            public_url: "https://keys.example.com".into(),
            started_at: Timestamp::from_second(NOW).unwrap(),
            data_folder: "/var/lib/keywright".into(),
            too_many: Arc::new(|_| None),
            openapi: include_str!("../../../api/openapi.json"),
            simulator: simulator.clone(),
            app_answer: Arc::new(|answer| format!("code {}", answer.verdict.code.as_str())),
        });
        let stop = CancellationToken::new();
        engine.start(&TaskTracker::new(), &stop);
        let office = Self { engine, clock, provider, tenant, router, simulator, stop, database };
        office.apply(SHOP).await;
        office
    }

    /// Brings the vendor in line with a file.
    pub(crate) async fn apply(&self, file: &str) {
        let file = ConfigurationFile::parse(file).unwrap();
        self.engine.apply(&file, &|source| Ok(format!("secret of {source}")), false, "test").await.unwrap();
    }

    /// Makes somebody a member of the vendor, and opens their browser.
    pub(crate) async fn member(&self, role: Role) -> Browser<'_> {
        self.member_of(self.tenant, role).await
    }

    /// Makes somebody a member of another vendor, and opens their browser.
    pub(crate) async fn stranger(&self) -> Browser<'_> {
        let other = self.engine.ensure_tenant("other", "Other").await.unwrap();
        self.member_of(other, Role::Owner).await
    }

    async fn member_of(&self, tenant: TenantId, role: Role) -> Browser<'_> {
        let by = By { actor: "test".to_owned(), note: None };
        let email = format!("{role}-{tenant}@acme.example");
        let link = self.engine.invite(tenant, &email, role, &by).await.unwrap();
        let new = NewMember { email, name: String::new(), password: PASSWORD.into() };
        let from = CameFrom { address: "192.0.2.1".to_owned(), agent: "test".to_owned() };
        let (_, handle) = self.engine.take_invitation(&link, &new, &from).await.unwrap();
        Browser { office: self, kept: format!("__Host-keywright={}", *handle.reveal()) }
    }

    /// The server stops.
    pub(crate) fn stop(&self) {
        self.stop.cancel();
    }

    /// Says where backups go: into a folder that is empty. Two are kept.
    pub(crate) fn plan_backups(&self) -> PathBuf {
        let folder = self.database.folder.path().join("backups");
        std::fs::create_dir(&folder).unwrap();
        let plan = Plan { folder: folder.clone(), every: SignedDuration::from_hours(24), keep: 2 };
        self.engine.plan_backups(plan);
        folder
    }

    /// Changes rows as no release would.
    pub(crate) async fn sql(&self, statement: &str) {
        self.database.sql(statement).await;
    }

    /// A browser that nobody has used.
    pub(crate) fn browser(&self) -> Browser<'_> {
        Browser { office: self, kept: String::new() }
    }

    /// The path of the page of somebody who has bought in test mode.
    pub(crate) async fn customer(&self, browser: &Browser<'_>, email: &str) -> String {
        let list = browser.get(&format!("/console/default/test/customers?q={email}")).await;
        let (_, rest) = list.text.split_once("/console/default/test/customers/cus_").unwrap();
        format!("/console/default/test/customers/cus_{}", rest.split('"').next().unwrap())
    }

    /// A license that was issued by hand, in test mode; returns the path of its page, and its key.
    pub(crate) async fn license(&self, plan: &str, email: &str) -> (String, String) {
        let request = IssueRequest {
            tenant: self.tenant,
            livemode: false,
            email: Some(EmailAddress::parse(email).unwrap()),
            name: None,
            plan: PlanCode::new(plan),
            quantity: 1,
            send_email: true,
            reference: None,
        };
        let issued = self.engine.issue(request).await.unwrap().licenses.remove(0);
        (format!("/console/default/test/licenses/{}", issued.license.id), issued.key.reveal().to_owned())
    }
}

impl Browser<'_> {
    pub(crate) async fn get(&self, path: &str) -> Page {
        self.send(self.request(Method::GET, path).body(Body::empty()).unwrap()).await
    }

    /// Looks at a page, and says this along.
    pub(crate) async fn get_with(&self, path: &str, name: &str, value: &str) -> Page {
        self.send(self.request(Method::GET, path).header(name, value).body(Body::empty()).unwrap()).await
    }

    /// Sends a form from a page of the console.
    pub(crate) async fn post(&self, path: &str, form: &str) -> Page {
        let request = self.request(Method::POST, path).header(header::ORIGIN, "https://keys.example.com");
        let request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.send(request.body(Body::from(form.to_owned())).unwrap()).await
    }

    /// Sends a form and keeps what the answer says to keep.
    pub(crate) async fn enter(&mut self, path: &str, form: &str) -> Page {
        let page = self.post(path, form).await;
        if let Some((kept, _)) = page.header("set-cookie").split_once(';') {
            kept.clone_into(&mut self.kept);
        }
        page
    }

    /// Signs a member in by their password.
    pub(crate) async fn sign_in(&mut self, role: Role) -> Page {
        let email = format!("{role}-{}%40acme.example", self.office.tenant);
        self.enter("/sign-in", &format!("email={email}&password={PASSWORD}")).await
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> axum::http::request::Builder {
        let request = Request::builder().method(method).uri(path).header(header::HOST, "keys.example.com");
        if self.kept.is_empty() { request } else { request.header(header::COOKIE, &self.kept) }
    }

    /// What is answered, as it comes.
    pub(crate) async fn answer(&self, mut request: Request<Body>) -> Response {
        request.extensions_mut().insert(ConnectInfo::<SocketAddr>("192.0.2.1:4711".parse().unwrap()));
        self.office.router.clone().oneshot(request).await.unwrap()
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Page {
        let (head, body) = self.answer(request).await.into_parts();
        let text = String::from_utf8(to_bytes(body, usize::MAX).await.unwrap().to_vec()).unwrap();
        Page { status: head.status.as_u16(), headers: head.headers, text }
    }
}
