//! Who looks at a page hears when something on it has changed. One look a second at the database serves everybody who looks at
//! a vendor's money of one mode, whatever their number, and none is made while nobody looks.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use domain::{counted::hour_of, id::MemberId};
use store::{counts::Marks, lists::Whose};
use tokio::sync::watch;

use crate::{Engine, Error};

/// Pages that listen in one process at most.
const LISTENERS_MAX: usize = 512;
/// Pages of one member: a browser has six connections to a server, and a few browsers are plenty.
const LISTENERS_OF_MEMBER_MAX: usize = 24;

/// Who listens.
#[derive(Debug, Default)]
pub(crate) struct Live(Arc<Mutex<Hub>>);

#[derive(Debug, Default)]
struct Hub {
    is_closed: bool,
    seats: HashMap<MemberId, usize>,
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
    member: MemberId,
}

fn locked(hub: &Mutex<Hub>) -> MutexGuard<'_, Hub> {
    hub.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut hub = locked(&self.hub);
        if let Some(seats) = hub.seats.get_mut(&self.member) {
            *seats = seats.saturating_sub(1);
        }
        hub.seats.retain(|_, seats| *seats > 0);
    }
}

impl Live {
    fn listen(&self, whose: Whose, member: MemberId, seen: String) -> Result<Listener, Full> {
        let mut hub = locked(&self.0);
        let of_member = hub.seats.get(&member).copied().unwrap_or_default();
        let all: usize = hub.seats.values().sum();
        if hub.is_closed || all >= LISTENERS_MAX || of_member >= LISTENERS_OF_MEMBER_MAX {
            return Err(Full);
        }
        hub.seats.insert(member, of_member + 1);
        let changes = hub.rooms.entry(whose).or_insert_with(|| watch::Sender::new(None)).subscribe();
        Ok(Listener { changes, seen, _seat: Seat { hub: Arc::clone(&self.0), member } })
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
    /// Those of the database.
    pub async fn look_for_changes(&self) -> Result<(), Error> {
        for whose in self.live.rooms() {
            self.live.tell(whose, self.marks(whose).await?);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use domain::id::TenantId;
    use uuid::Uuid;

    use super::*;

    const WHOSE: Whose = Whose { tenant: TenantId(Uuid::nil()), livemode: true };

    fn listen(live: &Live, member: u128) -> Result<Listener, Full> {
        live.listen(WHOSE, MemberId(Uuid::from_u128(member)), String::new())
    }

    #[test]
    fn a_member_has_so_many_pages_and_a_process_so_many_members() {
        let live = Live::default();
        let mut pages: Vec<_> = (0..LISTENERS_OF_MEMBER_MAX).map(|_| listen(&live, 1).unwrap()).collect();
        assert_eq!(listen(&live, 1).map(drop), Err(Full));
        pages.pop();
        pages.push(listen(&live, 1).unwrap());
        let others = (pages.len()..LISTENERS_MAX).map(|number| listen(&live, 2 + number as u128).unwrap());
        pages.extend(others.collect::<Vec<_>>());
        assert_eq!(listen(&live, 2).map(drop), Err(Full));
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
