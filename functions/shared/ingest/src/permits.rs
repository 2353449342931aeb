//! Limits on the number and the rate of arriving packages: each takes a file of its own
//! size, and each is a change that search has to follow.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use access::KeyName;
use protocol::Refusal;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until, timeout};

/// How long a push waits for a permit, and how long for more room.
const LONGEST: Duration = Duration::from_secs(30);
/// The number of keys above which idle ones are forgotten.
const MANY: usize = 1_000;
/// The bytes up to which a package is small, declared or received so far.
const SMALL: u64 = 1024 * 1024;
/// The small packages that may arrive for each that is not.
const SMALL_ONES: usize = 16;

/// Permits to send a package. Most packages are small, and many of them take less than one
/// that is large: so those that turn out to be larger than 1 MiB need a place besides, of
/// which there are few. Keys take turns, so one that sends many packages at once holds up the
/// others by one package at a time. Clones share them.
#[derive(Debug, Clone)]
pub struct Permits {
    small: Shared,
    large: Shared,
    /// The pushes of a key per minute. A key may use a minute's pushes all at once.
    per_minute: Option<u32>,
}

/// A permit for a small package, which may ask for more room. Given back when it is dropped.
#[derive(Debug)]
pub struct Permit {
    small: Place,
    large: Option<Place>,
    all_large: Shared,
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
    waiting: VecDeque<oneshot::Sender<Place>>,
    /// The time up to which its pushes are used up.
    paid_until: Instant,
}

/// A place, given back when it is dropped.
#[derive(Debug)]
struct Place {
    places: Shared,
    key: KeyName,
}

impl Permits {
    /// Permits for `in_all` packages of any size, of which one key may send `per_key`, and for
    /// sixteen times as many small ones.
    #[must_use]
    pub fn new(in_all: usize, per_key: usize) -> Self {
        let small = |places: usize| places.saturating_mul(SMALL_ONES);
        Self {
            small: Shared::new(small(in_all), small(per_key)),
            large: Shared::new(in_all, per_key),
            per_minute: None,
        }
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

    /// A permit for `key`, in the order of its requests.
    ///
    /// # Errors
    /// It takes more than half a minute.
    pub async fn take(&self, key: &KeyName) -> Result<Permit, Refusal> {
        let waited = timeout(LONGEST, self.wait(key)).await;
        let small = waited.ok().flatten().ok_or(Refusal::Full)?;
        Ok(Permit { small, large: None, all_large: self.large.clone() })
    }

    async fn wait(&self, key: &KeyName) -> Option<Place> {
        let turn = self.per_minute.and_then(|pushes| self.small.lock().turn(key, pushes));
        if let Some(turn) = turn {
            sleep_until(turn).await;
        }
        // Its sender is in the queue until it has a place.
        self.small.ask(key).await.ok()
    }
}

impl Permit {
    /// A permit where nobody else waits for one.
    #[must_use]
    pub fn unlimited() -> Self {
        let all = Shared::new(usize::MAX / 2, usize::MAX);
        let small = Place { places: all.clone(), key: KeyName::owner() };
        Self { small, large: None, all_large: all }
    }

    /// Waits for a place if a package of so many bytes needs one. Called before more of it is
    /// read.
    ///
    /// # Errors
    /// It takes more than half a minute.
    pub async fn make_room(&mut self, bytes: u64) -> Result<(), Refusal> {
        if bytes <= SMALL || self.large.is_some() {
            return Ok(());
        }
        let waited = timeout(LONGEST, self.all_large.ask(&self.small.key)).await;
        self.large = Some(waited.ok().and_then(Result::ok).ok_or(Refusal::Full)?);
        Ok(())
    }
}

impl Shared {
    fn new(free: usize, per_key: usize) -> Self {
        let (keys, turns) = (HashMap::new(), VecDeque::new());
        Self(Arc::new(Mutex::new(Places { free, per_key, keys, turns })))
    }

    fn lock(&self) -> MutexGuard<'_, Places> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a push of `key` into the queue; gives the end at which its place will arrive.
    fn ask(&self, key: &KeyName) -> oneshot::Receiver<Place> {
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
        // A place for a push that gave up in this moment is dropped once the lock is open.
        while let Some((waiting, place)) = self.next() {
            drop(waiting.send(place));
        }
    }

    /// The next push that gets a place, if there is one.
    fn next(&self) -> Option<(oneshot::Sender<Place>, Place)> {
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
                return Some((waiting, Place { places: self.clone(), key: name }));
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

impl Drop for Place {
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

    /// Permits for so many packages, as there would be of large ones.
    fn places(in_all: usize, per_key: usize) -> Permits {
        Permits { small: Shared::new(in_all, per_key), ..Permits::unlimited() }
    }

    #[tokio::test(start_paused = true)]
    async fn permits_run_out_for_a_key_and_for_all_and_come_back() {
        let (ci, other) = ("ci".parse().unwrap(), "other".parse().unwrap());
        let permits = places(3, 2);
        let mut held = [permits.take(&ci).await.unwrap(), permits.take(&ci).await.unwrap()];
        assert!(permits.take(&ci).await.is_err());
        let last = permits.take(&other).await.unwrap();
        assert!(permits.take(&other).await.is_err());
        drop(last);
        held[0] = permits.take(&other).await.unwrap();
        assert!(permits.take(&ci).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn small_packages_pass_a_large_one_and_large_ones_wait_for_it() {
        let ci = "ci".parse().unwrap();
        let permits = Permits::new(1, 1);
        let mut all = Vec::new();
        for _ in 0..SMALL_ONES {
            let mut permit = permits.take(&ci).await.unwrap();
            permit.make_room(SMALL).await.unwrap();
            all.push(permit);
        }
        assert!(permits.take(&ci).await.is_err());
        let (large, other) = (&mut all.remove(0), &mut all.remove(0));
        large.make_room(SMALL + 1).await.unwrap();
        // It has its place.
        large.make_room(u64::MAX).await.unwrap();
        assert!(matches!(other.make_room(SMALL + 1).await, Err(Refusal::Full)));
        large.large = None;
        other.make_room(SMALL + 1).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_push_waits_for_its_place_in_order() {
        let ci: KeyName = "ci".parse().unwrap();
        let permits = places(1, 16);
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
        let permits = places(2, 2);
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
        let permits = places(1, 1);
        let held = permits.take(&ci).await.unwrap();
        for _ in 0..3 {
            assert!(permits.take(&ci).await.is_err());
            assert!(permits.take(&other).await.is_err());
        }
        let waiting = tokio::spawn({
            let permits = permits.clone();
            async move { permits.take(&other).await.is_ok() }
        });
        tokio::time::sleep(Duration::from_secs(1)).await;
        drop(held);
        assert!(waiting.await.unwrap());
        assert!(permits.take(&ci).await.is_ok());
        assert_eq!(permits.small.lock().free, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_pushes_no_faster_than_it_may() {
        let (ci, other) = ("ci".parse().unwrap(), "other".parse().unwrap());
        let permits = Permits::unlimited().per_minute(60);
        let began = Instant::now();
        for _ in 0..60 {
            assert!(permits.take(&ci).await.is_ok());
        }
        assert!(began.elapsed() < Duration::from_secs(2));
        for _ in 0..20 {
            assert!(permits.take(&ci).await.is_ok());
        }
        let taken = began.elapsed();
        assert!((18..=21).contains(&taken.as_secs()), "{taken:?}");
        let began = Instant::now();
        assert!(permits.take(&other).await.is_ok());
        assert!(began.elapsed() < Duration::from_millis(5));
    }
}
