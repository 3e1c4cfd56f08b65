//! Who looks at a page hears when something on it has changed. One look a second at the database serves everybody who looks at
//! a vendor's money of one mode, whatever their number, and none is made while nobody looks.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use domain::{
    counted::hour_of,
    id::{MemberId, TenantId},
};
use store::{counts::Marks, lists::Whose};
use tokio::sync::watch;

use crate::{Engine, Error};

/// Pages that listen in one process at most.
const LISTENERS_MAX: usize = 512;
/// Pages of one vendor: its people do not silence those of others.
const LISTENERS_OF_TENANT_MAX: usize = 128;
/// Pages of one member: a browser has six connections to a server, and a few browsers are plenty.
const LISTENERS_OF_MEMBER_MAX: usize = 24;

/// Who listens.
#[derive(Debug, Default)]
pub(crate) struct Live(Arc<Mutex<Hub>>);

#[derive(Debug, Default)]
struct Hub {
    is_closed: bool,
    /// How many pages each member has open at each vendor.
    seats: HashMap<(TenantId, MemberId), usize>,
    rooms: HashMap<Whose, watch::Sender<Option<Marks>>>,
}

/// Nobody more may listen: too many do, or the server is stopping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many pages listen already, or the server is stopping; the page works without it")]
pub struct Full;

/// A page that listens. Dropped, it does no more.
#[derive(Debug)]
pub struct Listener {
    changes: watch::Receiver<Option<Marks>>,
    /// What the page shows.
    seen: String,
    _seat: Seat,
}

/// The place that a page takes.
#[derive(Debug)]
struct Seat {
    hub: Arc<Mutex<Hub>>,
    of: (TenantId, MemberId),
}

fn locked(hub: &Mutex<Hub>) -> MutexGuard<'_, Hub> {
    hub.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut hub = locked(&self.hub);
        if let Some(seats) = hub.seats.get_mut(&self.of) {
            *seats = seats.saturating_sub(1);
        }
        hub.seats.retain(|_, seats| *seats > 0);
    }
}

impl Live {
    fn listen(&self, whose: Whose, member: MemberId, seen: String) -> Result<Listener, Full> {
        let mut hub = locked(&self.0);
        let taken = |is_counted: &dyn Fn(TenantId, MemberId) -> bool| -> usize {
            hub.seats.iter().filter(|((tenant, member), _)| is_counted(*tenant, *member)).map(|(_, seats)| seats).sum()
        };
        let is_full = taken(&|_, _| true) >= LISTENERS_MAX
            || taken(&|tenant, _| tenant == whose.tenant) >= LISTENERS_OF_TENANT_MAX
            || taken(&|_, of| of == member) >= LISTENERS_OF_MEMBER_MAX;
        if hub.is_closed || is_full {
            return Err(Full);
        }
        let of = (whose.tenant, member);
        *hub.seats.entry(of).or_default() += 1;
        let changes = hub.rooms.entry(whose).or_insert_with(|| watch::Sender::new(None)).subscribe();
        Ok(Listener { changes, seen, _seat: Seat { hub: Arc::clone(&self.0), of } })
    }

    /// Ends all streams, and lets nobody begin another.
    pub(crate) fn close(&self) {
        let mut hub = locked(&self.0);
        hub.is_closed = true;
        hub.rooms.clear();
    }

    /// What is looked at now.
    fn rooms(&self) -> Vec<Whose> {
        let mut hub = locked(&self.0);
        hub.rooms.retain(|_, room| room.receiver_count() > 0);
        hub.rooms.keys().copied().collect()
    }

    fn tell(&self, whose: Whose, marks: Marks) {
        if let Some(room) = locked(&self.0).rooms.get(&whose) {
            room.send_if_modified(|before| {
                let is_changed = before.as_ref() != Some(&marks);
                *before = Some(marks);
                is_changed
            });
        }
    }
}

impl Listener {
    /// Waits until something is not as the page shows it, and returns the marks of how it is. None: nobody tells any more.
    pub async fn changed(&mut self) -> Option<Marks> {
        loop {
            let marks = self.changes.borrow_and_update().clone();
            if let Some(marks) = marks.filter(|marks| marks.to_string() != self.seen) {
                self.seen = marks.to_string();
                return Some(marks);
            }
            self.changes.changed().await.ok()?;
        }
    }
}

impl Engine {
    /// The marks of how things are: a page that shows them remembers these, and hears when they are others.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn marks(&self, whose: Whose) -> Result<Marks, Error> {
        Ok(self.store.marks(whose, hour_of(self.now())).await?)
    }

    /// Listens for a page whose marks were `seen`.
    ///
    /// # Errors
    /// Too many do already.
    pub fn follow(&self, whose: Whose, member: MemberId, seen: String) -> Result<Listener, Full> {
        self.live.listen(whose, member, seen)
    }

    /// Looks once whether anything has changed for those who listen.
    ///
    /// # Errors
    /// Those of the database. Others were told all the same.
    pub async fn look_for_changes(&self) -> Result<(), Error> {
        let mut failed = None;
        for whose in self.live.rooms() {
            match self.marks(whose).await {
                Ok(marks) => self.live.tell(whose, marks),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        failed.map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const WHOSE: Whose = Whose { tenant: TenantId(Uuid::nil()), livemode: true };

    fn listen(live: &Live, member: u128) -> Result<Listener, Full> {
        listen_at(live, 0, member)
    }

    fn listen_at(live: &Live, tenant: u128, member: u128) -> Result<Listener, Full> {
        let whose = Whose { tenant: TenantId(Uuid::from_u128(tenant)), ..WHOSE };
        live.listen(whose, MemberId(Uuid::from_u128(member)), String::new())
    }

    #[test]
    fn members_vendors_and_a_process_have_so_many_pages() {
        let live = Live::default();
        let mut pages: Vec<_> = (0..LISTENERS_OF_MEMBER_MAX).map(|_| listen(&live, 1).unwrap()).collect();
        assert_eq!(listen(&live, 1).map(drop), Err(Full));
        pages.pop();
        pages.push(listen(&live, 1).unwrap());
        assert_eq!(listen_at(&live, 1, 1).map(drop), Err(Full), "a member of two vendors has no more");
        pages.extend((pages.len()..LISTENERS_OF_TENANT_MAX).map(|number| listen(&live, 2 + number as u128).unwrap()));
        assert_eq!(listen(&live, 2).map(drop), Err(Full), "the vendor has no more");
        let tenant = |number: usize| (number / LISTENERS_OF_TENANT_MAX) as u128;
        pages.extend(
            (pages.len()..LISTENERS_MAX).map(|number| listen_at(&live, tenant(number), 2 + number as u128).unwrap()),
        );
        assert_eq!(listen_at(&live, 9, 2).map(drop), Err(Full), "nor has the process");
        drop(pages);
        assert!(live.rooms().is_empty(), "nobody looks any more");
        assert!(locked(&live.0).seats.is_empty());
    }

    #[tokio::test]
    async fn a_server_that_stops_ends_all_streams() {
        let live = Live::default();
        let mut page = listen(&live, 1).unwrap();
        live.close();
        assert_eq!(page.changed().await, None);
        assert_eq!(listen(&live, 1).map(drop), Err(Full));
    }
}
