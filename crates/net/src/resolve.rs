//! From names to addresses that may be dialled.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use tokio::sync::oneshot;

use crate::error::SendError;
use crate::reach::{Reach, Scheme};

/// Turns names into addresses. A parameter of the client, so that tests can be a hostile name server.
pub trait Resolver: Send + Sync + 'static {
    /// All addresses of `name`, of both families, in the order in which they should be tried.
    ///
    /// # Errors
    ///
    /// A sentence for a person when the name has no address or nobody answered.
    fn resolve(&self, name: &str) -> BoxFuture<'static, Result<Vec<IpAddr>, String>>;
}

/// The resolver of the operating system: `/etc/hosts`, name servers, search domains.
///
/// Each look-up under way holds a thread of tokio's blocking pool until the system gives up.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

impl Resolver for SystemResolver {
    fn resolve(&self, name: &str) -> BoxFuture<'static, Result<Vec<IpAddr>, String>> {
        let name = name.to_owned();
        async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await.map_err(|error| error.to_string())?;
            Ok(found.map(|address| address.ip()).collect())
        }
        .boxed()
    }
}

type LookUp = Shared<BoxFuture<'static, Result<Vec<IpAddr>, String>>>;
type Running = Arc<Mutex<HashMap<String, LookUp>>>;

/// One look-up per name at a time: calls that need a name which is already being looked up wait for that answer.
///
/// A look-up that hangs cannot be cancelled and keeps its thread beyond the deadline of the call. Without this,
/// retries to one dead name server would pile up threads until every other blocking task of the process waits.
/// Answers are not kept: the next call asks again.
struct OneAtATime {
    resolver: Arc<dyn Resolver>,
    running: Running,
}

/// Takes a finished look-up off the list, also when its task was stopped halfway.
struct Entry {
    running: Running,
    name: String,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.name);
    }
}

impl OneAtATime {
    fn resolve(&self, name: &str) -> LookUp {
        let (answer, answered) = oneshot::channel();
        let look_up = async { answered.await.unwrap_or_else(|_| Err("the look-up was stopped".to_owned())) };
        let look_up = look_up.boxed().shared();
        {
            let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(under_way) = running.get(name) {
                return under_way.clone();
            }
            running.insert(name.to_owned(), look_up.clone());
        }
        // Not under the lock: a runtime that is shutting down drops the task, and with it the entry, right here.
        let entry = Entry { running: Arc::clone(&self.running), name: name.to_owned() };
        let asked = self.resolver.resolve(name);
        tokio::spawn(async move {
            let found = asked.await;
            drop(entry);
            // Nobody may be waiting any more.
            let _ = answer.send(found);
        });
        look_up
    }
}

/// Resolves a name and lets its addresses through only if every one of them may be dialled.
#[derive(Clone)]
pub(crate) struct Guard {
    reach: Arc<Reach>,
    names: Arc<OneAtATime>,
}

impl Guard {
    pub(crate) fn new(reach: Reach, resolver: Arc<dyn Resolver>) -> Guard {
        let names = OneAtATime { resolver, running: Running::default() };
        Guard { reach: Arc::new(reach), names: Arc::new(names) }
    }

    /// What may be called.
    pub(crate) fn reach(&self) -> &Reach {
        &self.reach
    }

    /// The addresses to dial for `name`, at least one.
    pub(crate) async fn addresses(&self, name: &str, scheme: Scheme) -> Result<Vec<IpAddr>, SendError> {
        let dns = |reason: String| SendError::Dns { host: name.to_owned(), reason };
        let addresses = self.names.resolve(name).await.map_err(dns)?;
        if addresses.is_empty() {
            return Err(dns("it has no address".to_owned()));
        }
        for address in &addresses {
            self.reach
                .permit(*address, scheme)
                .map_err(|refusal| SendError::Refused { host: name.to_owned(), refusal })?;
        }
        Ok(addresses)
    }

    /// This guard as the resolver of an HTTP library's client that speaks `scheme`.
    pub(crate) fn for_scheme(&self, scheme: Scheme) -> SchemeGuard {
        SchemeGuard { guard: self.clone(), scheme }
    }
}

/// The guard in the place where the HTTP library asks for addresses, immediately before it dials them.
pub(crate) struct SchemeGuard {
    guard: Guard,
    scheme: Scheme,
}

impl reqwest::dns::Resolve for SchemeGuard {
    fn resolve(&self, name: reqwest::dns::Name) -> reqwest::dns::Resolving {
        let guard = self.guard.clone();
        let scheme = self.scheme;
        Box::pin(async move {
            let addresses = guard.addresses(name.as_str(), scheme).await?;
            // Port 0 stands for the port of the request.
            let sockets = addresses.into_iter().map(|address| SocketAddr::new(address, 0));
            Ok(Box::new(sockets) as reqwest::dns::Addrs)
        })
    }
}
