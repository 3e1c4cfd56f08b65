//! Addresses that this node serves: what waits there, and the calls that are under way.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
};

use domain::{retry::backoff, time::after};
use jiff::{SignedDuration, Timestamp};
use store::rows::Delivery;
use tokio::task::{self, JoinError, JoinSet};
use uuid::Uuid;

use super::{
    WebhookParts,
    ending::Health,
    endpoint::Endpoint,
    post::{Ending, Landed, Post},
};

/// Calls under way at an address that takes what it gets.
const CALLS_MAX: usize = 8;
/// The same at one of which nothing is known yet: most that will never answer are found out with as many.
const CALLS_AT_FIRST: usize = 2;
/// Calls under way at all addresses together. Those that fail have one each, so it takes a thousand of them to get here.
const CALLS_IN_ALL: usize = 1_024;
/// Deliveries that are read ahead, for each call that may be under way.
const READ_AHEAD: usize = 4;
/// Failures in a row after which an address rests between calls.
const FAILURES_BEFORE_REST: u32 = 3;
/// The longest rest. Whoever mends an address sees that it works again within that time.
const REST_MAX: SignedDuration = SignedDuration::from_secs(15);

/// An address that this node serves.
pub(super) struct Lane {
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) queue: VecDeque<Post>,
    /// Deliveries that are queued, called or not written down yet.
    pub(super) under_way: HashSet<Uuid>,
    pub(super) leased_until: Timestamp,
    calls: usize,
    failures: u32,
    has_taken: bool,
    rests_until: Option<Timestamp>,
}

impl Lane {
    pub(super) fn new(endpoint: Arc<Endpoint>, leased_until: Timestamp) -> Self {
        Self {
            endpoint,
            queue: VecDeque::new(),
            under_way: HashSet::new(),
            leased_until,
            calls: 0,
            failures: 0,
            has_taken: false,
            rests_until: None,
        }
    }

    /// Calls that may be under way.
    const fn allowed(&self) -> usize {
        match (self.failures, self.has_taken) {
            (0, true) => CALLS_MAX,
            (0, false) => CALLS_AT_FIRST,
            _ => 1,
        }
    }

    /// How many deliveries are read for it.
    pub(super) fn window(&self) -> u64 {
        (self.allowed() * READ_AHEAD + self.under_way.len()) as u64
    }

    /// Until when it is left alone; none: more can be read for it now.
    pub(super) fn rests_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.rests_until.filter(|until| *until > now)
    }

    pub(super) fn has_room(&self) -> bool {
        self.queue.is_empty() && self.calls < self.allowed()
    }

    pub(super) const fn is_idle(&self) -> bool {
        self.calls == 0
    }

    fn landed(&mut self, landed: &Landed) {
        self.calls = self.calls.saturating_sub(1);
        match landed.health() {
            Health::Takes => {
                self.failures = 0;
                self.has_taken = true;
                self.rests_until = None;
            }
            Health::Fails | Health::Gone => {
                self.failures = self.failures.saturating_add(1);
                if self.failures >= FAILURES_BEFORE_REST {
                    let rest = backoff(self.failures - FAILURES_BEFORE_REST + 1).min(REST_MAX);
                    self.rests_until = Some(after(landed.ended_at, rest));
                    // What was read ahead stays due, and is read again.
                    for post in self.queue.drain(..) {
                        self.under_way.remove(&post.delivery.id);
                    }
                }
            }
            Health::Unknown => {}
        }
    }
}

/// All addresses that this node serves.
pub(super) struct Lanes {
    /// What this node's leases are known by.
    pub(super) token: Uuid,
    pub(super) lanes: HashMap<Uuid, Lane>,
    pub(super) landed: Vec<Landed>,
    calling: JoinSet<Landed>,
    /// What each task carries: a task that panics cannot tell.
    aboard: HashMap<task::Id, (Delivery, Arc<Endpoint>, Timestamp)>,
}

impl Lanes {
    pub(super) fn new(token: Uuid) -> Self {
        Self { token, lanes: HashMap::new(), landed: Vec::new(), calling: JoinSet::new(), aboard: HashMap::new() }
    }

    pub(super) fn is_calling(&self) -> bool {
        !self.calling.is_empty()
    }

    /// Whether a process that stops has to wait for something.
    pub(super) fn has_to_land(&self, may_try: bool) -> bool {
        self.is_calling() || (may_try && !self.landed.is_empty())
    }

    /// Makes as many calls as may be under way; at addresses that take what they get, first. Returns how many.
    pub(super) fn launch(&mut self, parts: &WebhookParts) -> usize {
        let now = parts.clock.now();
        let mut ready: Vec<&mut Lane> =
            self.lanes.values_mut().filter(|lane| !lane.queue.is_empty() && lane.rests_until(now).is_none()).collect();
        ready.sort_by_key(|lane| lane.failures);
        let mut launched = 0;
        for lane in ready {
            while lane.calls < lane.allowed() && self.calling.len() < CALLS_IN_ALL {
                let Some(post) = lane.queue.pop_front() else { break };
                let carries = (post.delivery.clone(), Arc::clone(&post.endpoint), now);
                let task = self.calling.spawn(post.run(parts.client.clone(), Arc::clone(&parts.clock)));
                self.aboard.insert(task.id(), carries);
                lane.calls += 1;
                launched += 1;
            }
        }
        launched
    }

    /// Waits until a call comes back, and takes all that have. Returns whether any was under way.
    pub(super) async fn any_landed(&mut self) -> bool {
        let Some(first) = self.calling.join_next_with_id().await else { return false };
        self.land(first);
        while let Some(next) = self.calling.try_join_next_with_id() {
            self.land(next);
        }
        true
    }

    fn land(&mut self, came_back: Result<(task::Id, Landed), JoinError>) {
        let (id, landed) = match came_back {
            Ok((id, landed)) => (id, Some(landed)),
            Err(error) => {
                tracing::error!(%error, "a webhook call went wrong in a way that nobody thought of");
                (error.id(), None)
            }
        };
        let Some((delivery, endpoint, began_at)) = self.aboard.remove(&id) else { return };
        let landed = landed.unwrap_or_else(|| {
            let ending = Ending::Unwritten("an internal error, which the log tells".to_owned());
            Landed { delivery, endpoint, began_at, ended_at: began_at, ending }
        });
        if let Some(lane) = self.lanes.get_mut(&landed.delivery.endpoint_id) {
            lane.landed(&landed);
        }
        self.landed.push(landed);
    }

    /// What came back is written down.
    pub(super) fn recorded(&mut self) {
        for landed in self.landed.drain(..) {
            if let Some(lane) = self.lanes.get_mut(&landed.delivery.endpoint_id) {
                lane.under_way.remove(&landed.delivery.id);
            }
        }
    }
}
