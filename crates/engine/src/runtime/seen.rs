//! Which devices asked lately, and what is new about their apps: gathered in memory and written down every few seconds, so that
//! no check waits for it or writes by itself.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Mutex, PoisonError},
};

use domain::activation::Software;
use uuid::Uuid;

use super::Held;
use crate::{Engine, Error};

/// Activations of which news are kept between two times of writing. What does not fit is news again with the next check.
const NEWS_MAX: usize = 4_096;

/// What was seen and not written down yet.
#[derive(Default)]
pub(crate) struct SeenDevices {
    activations: HashSet<Uuid>,
    news: HashMap<Uuid, Software>,
}

/// The same, shared.
pub(crate) type Seen = Mutex<SeenDevices>;

impl SeenDevices {
    pub(super) fn note(&mut self, held: Held) {
        self.activations.insert(held.id.0);
        if held.news.is_nothing() {
            return;
        }
        if self.news.len() < NEWS_MAX || self.news.contains_key(&held.id.0) {
            self.news.entry(held.id.0).or_default().update(held.news);
        }
    }

    /// Activations by what their apps say anew: most of what changes at a time is the same, since many take the same release.
    fn by_news(&mut self) -> BTreeMap<Software, Vec<Uuid>> {
        let mut by_news: BTreeMap<Software, Vec<Uuid>> = BTreeMap::new();
        for (id, news) in self.news.drain() {
            by_news.entry(news).or_default().push(id);
        }
        by_news
    }
}

impl Engine {
    /// Writes down which devices were seen, and what their apps say anew. Lazy: nothing depends on it.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn write_seen(&self) -> Result<(), Error> {
        let mut seen = std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner));
        if seen.activations.is_empty() {
            return Ok(());
        }
        let write = self.store.begin().await?;
        for (software, ids) in seen.by_news() {
            write.save_software(&software, ids).await?;
        }
        write.touch_activations(seen.activations.into_iter().collect(), self.now()).await?;
        Ok(write.commit().await?)
    }
}

#[cfg(test)]
mod tests {
    use domain::id::ActivationId;

    use super::*;

    fn held(number: u128, version: Option<&str>) -> Held {
        let news = Software { app_version: version.map(str::to_owned), os: None };
        Held { id: ActivationId(Uuid::from_u128(number)), news }
    }

    #[test]
    fn devices_with_the_same_news_are_written_together() {
        let mut seen = SeenDevices::default();
        for (number, version) in [(1, Some("3.3")), (2, Some("3.4")), (1, Some("3.4")), (1, None), (3, None)] {
            seen.note(held(number, version));
        }
        let by_news = seen.by_news();
        assert_eq!((seen.activations.len(), by_news.len()), (3, 1));
        assert_eq!(by_news.into_values().map(|ids| ids.len()).collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn news_are_bounded_and_who_was_seen_is_not_forgotten() {
        let mut seen = SeenDevices::default();
        for number in 0..=NEWS_MAX as u128 {
            seen.note(held(number, Some("3.4")));
        }
        seen.note(held(0, Some("3.5")));
        assert_eq!((seen.activations.len(), seen.news.len()), (NEWS_MAX + 1, NEWS_MAX));
        assert_eq!(seen.news[&Uuid::from_u128(0)].app_version.as_deref(), Some("3.5"));
    }
}
