//! Addresses that this node serves: what waits there, and the calls that are under way.

use std::{
    collections::{BTreeSet, HashMap, HashSet, VecDeque},
    sync::Arc,
};

use domain::{retry::backoff, time::after};
use jiff::{SignedDuration, Timestamp};
use store::rows::Delivery;
use tokio::task::{self, JoinError, JoinSet};
use uuid::Uuid;

use super::{
    WebhookParts,
    endpoint::Endpoint,
    pace::{Pace, Slots},
    post::{Ending, Landed, Post},
};

/// Deliveries that are read ahead, for each call that may be under way.
const READ_AHEAD: usize = 4;
/// The longest time after which it is tried once more to open an address.
const UNOPENED_REST_MAX: SignedDuration = SignedDuration::from_mins(1);

/// An address that this node serves.
pub(super) struct Lane {
    /// As it was before the last calls were made.
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) queue: VecDeque<Post>,
    /// Deliveries that are queued, called or not written down yet.
    pub(super) under_way: HashSet<Uuid>,
    pub(super) leased_until: Timestamp,
    calls: usize,
    pace: Pace,
    rests_until: Option<Timestamp>,
    /// When it was called last.
    called_at: Option<Timestamp>,
}

impl Lane {
    fn new(endpoint: Arc<Endpoint>, leased_until: Timestamp) -> Self {
        Self {
            endpoint,
            queue: VecDeque::new(),
            under_way: HashSet::new(),
            leased_until,
            calls: 0,
            pace: Pace::default(),
            rests_until: None,
            called_at: None,
        }
    }

    /// The address is another than it was. Of another place, nothing is known yet.
    fn reopen(&mut self, endpoint: Arc<Endpoint>) {
        let before = std::mem::replace(&mut self.endpoint, endpoint);
        if before.url != self.endpoint.url {
            self.pace = Pace::default();
            self.rests_until = None;
        }
        if before.row.ordered != self.endpoint.row.ordered {
            self.shorten_queue(0);
        }
    }

    /// How many deliveries are read for it.
    pub(super) fn window(&self) -> u64 {
        (self.pace.allowed() * READ_AHEAD + self.under_way.len()) as u64
    }

    /// Until when it is left alone; none: more can be read for it now.
    pub(super) fn rests_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.rests_until.filter(|until| *until > now)
    }

    pub(super) fn has_room(&self) -> bool {
        self.queue.is_empty() && self.calls < self.pace.allowed()
    }

    pub(super) fn is_idle(&self) -> bool {
        self.under_way.is_empty()
    }

    /// Whether another call may be made of what is queued.
    pub(super) fn is_ready(&self, now: Timestamp) -> bool {
        !self.queue.is_empty() && self.calls < self.pace.allowed() && self.rests_until(now).is_none()
    }

    /// Forgets what was read ahead, but for the first so many: it stays due, and is read again if it still is.
    fn shorten_queue(&mut self, most: usize) {
        for post in self.queue.drain(most.min(self.queue.len())..) {
            self.under_way.remove(&post.delivery.id);
        }
    }

    fn landed(&mut self, landed: &mut Landed) {
        self.calls = self.calls.saturating_sub(1);
        landed.was_failing = self.pace.failures > 0;
        let took = landed.ended_at.duration_since(landed.began_at);
        if let Some(rest) = self.pace.landed(landed.health(), took, landed.asks_for_rest()) {
            // What lands meanwhile was under way when the rest began, and ends it no sooner.
            let until = after(landed.ended_at, rest);
            self.rests_until = self.rests_until.max(Some(until));
            landed.rests_until = Some(until);
            self.shorten_queue(0);
        }
        // What was read for eight calls is not kept for one that takes seconds.
        self.shorten_queue(self.pace.allowed() * READ_AHEAD);
    }
}

/// All addresses that this node serves.
pub(super) struct Lanes {
    /// What this node's leases are known by.
    pub(super) token: Uuid,
    pub(super) lanes: HashMap<Uuid, Lane>,
    /// Addresses that did not open: how often in a row, and until when they are left alone.
    pub(super) unopened: HashMap<Uuid, (u32, Timestamp)>,
    pub(super) landed: Vec<Landed>,
    calling: JoinSet<Landed>,
    /// What each task carries: a task that panics cannot tell.
    aboard: HashMap<task::Id, (Delivery, Arc<Endpoint>, Timestamp)>,
}

impl Lanes {
    pub(super) fn new(token: Uuid) -> Self {
        Self {
            token,
            lanes: HashMap::new(),
            unopened: HashMap::new(),
            landed: Vec::new(),
            calling: JoinSet::new(),
            aboard: HashMap::new(),
        }
    }

    pub(super) fn is_calling(&self) -> bool {
        !self.calling.is_empty()
    }

    /// Whether a process that stops has to wait for something.
    pub(super) fn has_to_land(&self, may_try: bool) -> bool {
        self.is_calling() || (may_try && !self.landed.is_empty())
    }

    /// Lets go of all addresses but these.
    pub(super) fn keep_only(&mut self, there: &BTreeSet<Uuid>) {
        self.unopened.retain(|id, _| there.contains(id));
        let gone: Vec<Uuid> = self.lanes.keys().filter(|id| !there.contains(id)).copied().collect();
        gone.into_iter().for_each(|id| self.let_go(id));
    }

    /// Lets go of an address that is not to be called. What is under way there is finished.
    pub(super) fn let_go(&mut self, id: Uuid) {
        let Some(lane) = self.lanes.get_mut(&id) else { return };
        lane.shorten_queue(0);
        if lane.is_idle() {
            self.lanes.remove(&id);
        }
    }

    /// An address is open, for the first time or as it is now.
    pub(super) fn opened(&mut self, id: Uuid, endpoint: Endpoint, leased_until: Timestamp) {
        self.unopened.remove(&id);
        let endpoint = Arc::new(endpoint);
        match self.lanes.get_mut(&id) {
            Some(lane) => {
                lane.reopen(endpoint);
                lane.leased_until = leased_until;
            }
            None => drop(self.lanes.insert(id, Lane::new(endpoint, leased_until))),
        }
    }

    /// An address does not open, and is left alone for a while.
    pub(super) fn not_opened(&mut self, id: Uuid, now: Timestamp) {
        self.let_go(id);
        let (failed, until) = self.unopened.entry(id).or_insert((0, now));
        *failed += 1;
        *until = after(now, backoff(*failed).min(UNOPENED_REST_MAX));
    }

    /// Makes as many calls as may be under way: first at addresses that take what they get and have waited longest. Returns
    /// how many.
    pub(super) fn launch(&mut self, parts: &WebhookParts) -> usize {
        let now = parts.clock.now();
        let mut slots = Slots::default();
        self.lanes.values().for_each(|lane| slots.count(&lane.pace, lane.calls));
        let least = enough_of(parts.lease, now);
        let is_ready = |lane: &&mut Lane| lane.is_ready(now) && lane.leased_until >= least;
        let mut ready: Vec<&mut Lane> = self.lanes.values_mut().filter(is_ready).collect();
        ready.sort_by_key(|lane| (lane.pace.failures, lane.calls > 0, lane.called_at));
        let mut launched = 0;
        for lane in ready {
            while slots.has_room(&lane.pace, lane.calls) {
                let Some(post) = lane.queue.pop_front() else { break };
                let carries = (post.delivery.clone(), Arc::clone(&lane.endpoint), now);
                let call = post.run(Arc::clone(&lane.endpoint), parts.client.clone(), Arc::clone(&parts.clock));
                self.aboard.insert(self.calling.spawn(call).id(), carries);
                lane.calls += 1;
                lane.called_at = Some(now);
                slots.count(&lane.pace, 1);
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
        let mut landed = landed.unwrap_or_else(|| {
            let ending = Ending::Unwritten("an internal error, which the log tells".to_owned());
            Landed::new(delivery, endpoint, (began_at, began_at), ending)
        });
        if let Some(lane) = self.lanes.get_mut(&landed.delivery.endpoint_id) {
            lane.landed(&mut landed);
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

/// Until when an address has to be leased for a call to begin: half of a whole lease is as long as the longest call, so none
/// goes on where another node calls already.
pub(super) fn enough_of(lease: SignedDuration, now: Timestamp) -> Timestamp {
    after(now, lease / 2)
}

/// A lease that ends before then is taken anew, long before it is too short for a call.
pub(super) fn too_little_of(lease: SignedDuration, now: Timestamp) -> Timestamp {
    after(now, lease / 3 * 2)
}
