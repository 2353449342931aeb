//! Limits on the number and the rate of arriving packages: each takes a file of its own
//! size, and each is a change that search has to follow.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use access::KeyName;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// How long a push waits for a permit.
const LONGEST: Duration = Duration::from_secs(30);
/// The number of keys above which idle ones are forgotten.
const MANY: usize = 1_000;

/// Permits to send a package. Keys take turns, so one that sends many packages at once holds up
/// the others by one package at a time. Clones share them.
#[derive(Debug, Clone)]
pub struct Permits {
    places: Shared,
    /// The pushes of a key per minute. A key may use a minute's pushes all at once.
    per_minute: Option<u32>,
}

/// The places that all clones and permits share.
#[derive(Debug, Clone)]
struct Shared(Arc<Mutex<Places>>);

#[derive(Debug)]
struct Places {
    free: usize,
    per_key: usize,
    keys: HashMap<KeyName, Key>,
    /// The keys that wait, each once; the first gets the next place.
    turns: VecDeque<KeyName>,
}

/// A key that pushes, or did lately.
#[derive(Debug)]
struct Key {
    held: usize,
    /// Its pushes that wait, in their order.
    waiting: VecDeque<oneshot::Sender<Permit>>,
    /// The time up to which its pushes are used up.
    paid_until: Instant,
}

/// A permit, given back when it is dropped.
#[derive(Debug)]
pub struct Permit {
    places: Shared,
    key: KeyName,
}

impl Permits {
    /// `in_all` permits, of which one key may hold `per_key`.
    #[must_use]
    pub fn new(in_all: usize, per_key: usize) -> Self {
        let (keys, turns) = (HashMap::new(), VecDeque::new());
        let places = Places { free: in_all, per_key, keys, turns };
        Self { places: Shared(Arc::new(Mutex::new(places))), per_minute: None }
    }

    /// The same permits, with so many pushes per minute for one key.
    #[must_use]
    pub fn per_minute(self, pushes: u32) -> Self {
        Self { per_minute: Some(pushes.max(1)), ..self }
    }

    /// Any number of permits.
    #[must_use]
    pub fn unlimited() -> Self {
        Self::new(usize::MAX, usize::MAX)
    }

    /// A permit for `key`, in the order of its requests; `None` if it takes more than half a
    /// minute.
    pub async fn take(&self, key: &KeyName) -> Option<Permit> {
        tokio::time::timeout(LONGEST, self.wait(key)).await.ok()?
    }

    async fn wait(&self, key: &KeyName) -> Option<Permit> {
        let turn = self.per_minute.and_then(|pushes| self.places.lock().turn(key, pushes));
        if let Some(turn) = turn {
            tokio::time::sleep_until(turn).await;
        }
        // Its sender is in the queue until it has a permit.
        self.places.ask(key).await.ok()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Places> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a push of `key` into the queue; gives the end at which its permit will arrive.
    fn ask(&self, key: &KeyName) -> oneshot::Receiver<Permit> {
        let (sender, receiver) = oneshot::channel();
        let mut places = self.lock();
        let waiting = &mut places.key(key).waiting;
        waiting.push_back(sender);
        if waiting.len() == 1 {
            places.turns.push_back(key.clone());
        }
        drop(places);
        self.give();
        receiver
    }

    /// Gives the free places to those that wait.
    fn give(&self) {
        // A permit for a push that gave up in this moment is dropped once the lock is open.
        while let Some((waiting, permit)) = self.next() {
            drop(waiting.send(permit));
        }
    }

    /// The next push that gets a place, if there is one.
    fn next(&self) -> Option<(oneshot::Sender<Permit>, Permit)> {
        let mut places = self.lock();
        while places.free > 0 {
            let per_key = places.per_key;
            let may = |key: &KeyName| places.keys.get(key).is_some_and(|key| key.held < per_key);
            let turn = places.turns.iter().position(may)?;
            let name = places.turns.remove(turn)?;
            let key = places.key(&name);
            // Those that gave up are passed over.
            key.waiting.retain(|waiting| !waiting.is_closed());
            let next = key.waiting.pop_front();
            key.held += usize::from(next.is_some());
            let waits = !key.waiting.is_empty();
            if waits {
                places.turns.push_back(name.clone());
            }
            if let Some(waiting) = next {
                places.free -= 1;
                return Some((waiting, Permit { places: self.clone(), key: name }));
            }
        }
        None
    }
}

impl Places {
    fn key(&mut self, name: &KeyName) -> &mut Key {
        let now = Instant::now();
        if self.keys.len() > MANY {
            self.keys.retain(|known, key| {
                known == name || key.held > 0 || !key.waiting.is_empty() || key.paid_until > now
            });
        }
        let new = || Key { held: 0, waiting: VecDeque::new(), paid_until: now };
        self.keys.entry(name.clone()).or_insert_with(new)
    }

    /// The time when a key's next push may begin, if that is not now.
    fn turn(&mut self, name: &KeyName, per_minute: u32) -> Option<Instant> {
        const MINUTE: Duration = Duration::from_mins(1);
        let (key, now) = (self.key(name), Instant::now());
        // A minute's pushes may come at once.
        let turn = key.paid_until.checked_sub(MINUTE).filter(|turn| *turn > now);
        // A caller whose turn would come too late is not charged.
        if turn.is_none_or(|turn| turn < now + LONGEST) {
            key.paid_until = key.paid_until.max(now) + MINUTE / per_minute;
        }
        turn
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut places = self.places.lock();
        places.free += 1;
        let key = places.key(&self.key);
        key.held = key.held.saturating_sub(1);
        drop(places);
        self.places.give();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn permits_run_out_for_a_key_and_for_all_and_come_back() {
        let (ci, other) = ("ci".parse().unwrap(), "other".parse().unwrap());
        let permits = Permits::new(3, 2);
        let mut held = [permits.take(&ci).await.unwrap(), permits.take(&ci).await.unwrap()];
        assert!(permits.take(&ci).await.is_none());
        let last = permits.take(&other).await.unwrap();
        assert!(permits.take(&other).await.is_none());
        drop(last);
        held[0] = permits.take(&other).await.unwrap();
        assert!(permits.take(&ci).await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_push_waits_for_its_place_in_order() {
        let ci: KeyName = "ci".parse().unwrap();
        let permits = Permits::new(1, 16);
        let order = Arc::new(Mutex::new(Vec::new()));
        let tasks: Vec<_> = (0..10)
            .map(|number| {
                let (permits, ci, order) = (permits.clone(), ci.clone(), Arc::clone(&order));
                tokio::spawn(async move {
                    let _permit = permits.take(&ci).await.unwrap();
                    tokio::time::sleep(Duration::from_secs(2)).await;
                    order.lock().unwrap().push(number);
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(*order.lock().unwrap(), (0..10).collect::<Vec<_>>());
    }

    #[tokio::test(start_paused = true)]
    async fn keys_take_turns_however_many_packages_each_sends() {
        let permits = Permits::new(2, 2);
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = Vec::new();
        for (key, pushes) in [("many", 20), ("few", 3), ("one", 1)] {
            for _ in 0..pushes {
                let (permits, order) = (permits.clone(), Arc::clone(&order));
                tasks.push(tokio::spawn(async move {
                    let _permit = permits.take(&key.parse().unwrap()).await.unwrap();
                    order.lock().unwrap().push(key);
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }));
            }
        }
        for task in tasks {
            task.await.unwrap();
        }
        let order = order.lock().unwrap();
        let last = |key: &str| order.iter().rposition(|name| *name == key).unwrap();
        // The first two places were free when the others came.
        assert_eq!((last("one"), last("few")), (4, 8), "{order:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_push_that_gave_up_leaves_its_place_in_the_queue_to_the_next() {
        let (ci, other) = ("ci".parse().unwrap(), "other".parse().unwrap());
        let permits = Permits::new(1, 1);
        let held = permits.take(&ci).await.unwrap();
        for _ in 0..3 {
            assert!(permits.take(&ci).await.is_none());
            assert!(permits.take(&other).await.is_none());
        }
        let waiting = tokio::spawn({
            let permits = permits.clone();
            async move { permits.take(&other).await.is_some() }
        });
        tokio::time::sleep(Duration::from_secs(1)).await;
        drop(held);
        assert!(waiting.await.unwrap());
        assert!(permits.take(&ci).await.is_some());
        assert_eq!(permits.places.lock().free, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_pushes_no_faster_than_it_may() {
        let (ci, other) = ("ci".parse().unwrap(), "other".parse().unwrap());
        let permits = Permits::unlimited().per_minute(60);
        let began = Instant::now();
        for _ in 0..60 {
            assert!(permits.take(&ci).await.is_some());
        }
        assert!(began.elapsed() < Duration::from_secs(2));
        for _ in 0..20 {
            assert!(permits.take(&ci).await.is_some());
        }
        let taken = began.elapsed();
        assert!((18..=21).contains(&taken.as_secs()), "{taken:?}");
        let began = Instant::now();
        assert!(permits.take(&other).await.is_some());
        assert!(began.elapsed() < Duration::from_millis(5));
    }
}
