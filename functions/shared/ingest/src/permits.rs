//! Limits on the number and the rate of arriving packages: each takes its own
//! size of the disk or of memory, and each is a change that search has to follow.

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
/// that is large: so those of more than 1 MiB have places of their own, of which there are few.
/// A package whose size is not declared moves to one when it grows. Keys take turns, so one
/// that sends many packages at once holds up the others by one package at a time. Clones share
/// them.
#[derive(Debug, Clone)]
pub struct Permits {
    small: Shared,
    large: Shared,
    /// The pushes of a key per minute. A key may use a minute's pushes all at once.
    per_minute: Option<u32>,
}

/// A permit to send a package. Given back when it is dropped.
#[derive(Debug)]
pub struct Permit {
    /// Its place; none where places are not counted, and while it waits for another.
    place: Option<Place>,
    /// The places for larger packages, and the key that asks for one; none if it has one.
    larger: Option<(Shared, KeyName)>,
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

    /// A permit for a package that `key` sends, in the order of its requests. `declared` is the
    /// size that its sender declares in bytes, if it does.
    ///
    /// # Errors
    /// It takes more than half a minute.
    pub async fn take(&self, key: &KeyName, declared: Option<u64>) -> Result<Permit, Refusal> {
        let is_large = declared.is_some_and(|bytes| bytes > SMALL);
        let places = if is_large { &self.large } else { &self.small };
        let waited = timeout(LONGEST, self.wait(places, key)).await;
        let place = Some(waited.ok().flatten().ok_or(Refusal::Full)?);
        let larger = (!is_large).then(|| (self.large.clone(), key.clone()));
        Ok(Permit { place, larger })
    }

    async fn wait(&self, places: &Shared, key: &KeyName) -> Option<Place> {
        let turn = self.per_minute.and_then(|pushes| self.small.lock().turn(key, pushes));
        if let Some(turn) = turn {
            sleep_until(turn).await;
        }
        // Its sender is in the queue until it has a place.
        places.ask(key).await.ok()
    }
}

impl Permit {
    /// A permit where places are not counted.
    #[must_use]
    pub fn unlimited() -> Self {
        Self { place: None, larger: None }
    }

    /// Whether it is good for a package of any size.
    #[must_use]
    pub fn is_large(&self) -> bool {
        self.larger.is_none()
    }

    /// Moves to a place for larger packages if one of so many bytes needs it. Called before more
    /// of the package is read.
    ///
    /// # Errors
    /// It takes more than half a minute.
    pub async fn make_room(&mut self, bytes: u64) -> Result<(), Refusal> {
        let Some((places, key)) = self.larger.take_if(|_| bytes > SMALL) else { return Ok(()) };
        // Small packages need not wait with it.
        self.place = None;
        let waited = timeout(LONGEST, places.ask(&key)).await;
        self.place = Some(waited.ok().and_then(Result::ok).ok_or(Refusal::Full)?);
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

    /// Permits for so many packages, none of them large.
    fn places(in_all: usize, per_key: usize) -> Permits {
        Permits { small: Shared::new(in_all, per_key), ..Permits::unlimited() }
    }

    #[tokio::test(start_paused = true)]
    async fn permits_run_out_for_a_key_and_for_all_and_come_back() {
        let (ci, other) = ("ci".parse().unwrap(), "other".parse().unwrap());
        let permits = places(3, 2);
        let mut held =
            [permits.take(&ci, None).await.unwrap(), permits.take(&ci, None).await.unwrap()];
        assert!(permits.take(&ci, None).await.is_err());
        let last = permits.take(&other, None).await.unwrap();
        assert!(permits.take(&other, None).await.is_err());
        drop(last);
        held[0] = permits.take(&other, None).await.unwrap();
        assert!(permits.take(&ci, None).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn small_packages_pass_large_ones_however_these_come_to_be_large() {
        let ci = "ci".parse().unwrap();
        let permits = Permits::new(1, 1);
        let mut large = permits.take(&ci, Some(SMALL + 1)).await.unwrap();
        large.make_room(u64::MAX).await.unwrap();
        assert!(matches!(permits.take(&ci, Some(u64::MAX)).await, Err(Refusal::Full)));
        let mut all = Vec::new();
        for _ in 0..SMALL_ONES {
            let mut permit = permits.take(&ci, None).await.unwrap();
            permit.make_room(SMALL).await.unwrap();
            all.push(permit);
        }
        assert!(permits.take(&ci, Some(SMALL)).await.is_err());
        // One that grows waits, and leaves its place to a small one.
        let mut growing = all.remove(0);
        let waiting = tokio::spawn(async move { growing.make_room(SMALL + 1).await.is_ok() });
        all.push(permits.take(&ci, Some(SMALL)).await.unwrap());
        drop(large);
        assert!(waiting.await.unwrap());
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
                    let _permit = permits.take(&ci, None).await.unwrap();
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
                    let _permit = permits.take(&key.parse().unwrap(), None).await.unwrap();
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
        let held = permits.take(&ci, None).await.unwrap();
        for _ in 0..3 {
            assert!(permits.take(&ci, None).await.is_err());
            assert!(permits.take(&other, None).await.is_err());
        }
        let waiting = tokio::spawn({
            let permits = permits.clone();
            async move { permits.take(&other, None).await.is_ok() }
        });
        tokio::time::sleep(Duration::from_secs(1)).await;
        drop(held);
        assert!(waiting.await.unwrap());
        assert!(permits.take(&ci, None).await.is_ok());
        assert_eq!(permits.small.lock().free, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_pushes_no_faster_than_it_may() {
        let (ci, other) = ("ci".parse().unwrap(), "other".parse().unwrap());
        let permits = Permits::unlimited().per_minute(60);
        let began = Instant::now();
        for _ in 0..60 {
            assert!(permits.take(&ci, None).await.is_ok());
        }
        assert!(began.elapsed() < Duration::from_secs(2));
        for _ in 0..20 {
            assert!(permits.take(&ci, None).await.is_ok());
        }
        let taken = began.elapsed();
        assert!((18..=21).contains(&taken.as_secs()), "{taken:?}");
        let began = Instant::now();
        assert!(permits.take(&other, None).await.is_ok());
        assert!(began.elapsed() < Duration::from_millis(5));
    }
}
