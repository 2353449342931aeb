//! Turns: several actors at once, whose calls to AWS happen one at a time, in an
//! order that is chosen.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

use crate::Idle;

/// A place where calls wait for their turn. Clones share it.
#[derive(Debug, Clone)]
pub struct Turns {
    idle: Idle,
    stage: Arc<Stage>,
}

#[derive(Debug, Default)]
struct Stage {
    actors: Mutex<Vec<State>>,
    /// Notified when a call comes or goes, or an actor ends.
    moved: Notify,
}

/// How far an actor has come.
#[derive(Debug, Default)]
struct State {
    waiting: Vec<Waiting>,
    on_their_way: usize,
    is_done: bool,
}

impl State {
    /// Whether it has come as far as it can.
    fn is_at_rest(&self) -> bool {
        self.is_done || (!self.waiting.is_empty() && self.on_their_way == 0)
    }
}

/// A call that waits for its turn: its name, and the channel that lets it go.
#[derive(Debug)]
struct Waiting {
    call: String,
    go: oneshot::Sender<OnItsWay>,
}

/// A call that was let go and is not answered yet.
#[derive(Debug)]
struct OnItsWay(Actor);

impl Drop for OnItsWay {
    fn drop(&mut self) {
        self.0.change(|state| state.on_their_way -= 1);
    }
}

/// Marks an actor as done when it is dropped, even after a panic.
#[derive(Debug)]
struct Done(Actor);

impl Drop for Done {
    fn drop(&mut self) {
        self.0.change(|state| state.is_done = true);
    }
}

/// An order of calls, as far as it was chosen: for each step, the choice and the number of
/// calls to choose from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Order(pub Vec<(usize, usize)>);

impl Order {
    /// The choices alone, which are enough to repeat the order.
    #[must_use]
    pub fn choices(&self) -> Vec<usize> {
        self.0.iter().map(|(choice, _)| *choice).collect()
    }

    /// The choices of the next of all orders, or `None` after the last.
    #[must_use]
    pub fn next(&self) -> Option<Vec<usize>> {
        let last = self.0.iter().rposition(|(choice, among)| choice + 1 < *among)?;
        let mut choices = self.choices();
        choices.truncate(last + 1);
        choices[last] += 1;
        Some(choices)
    }
}

impl Turns {
    /// Turns for actors on the runtime that `idle` belongs to.
    #[must_use]
    pub fn on(idle: &Idle) -> Self {
        Self { idle: idle.clone(), stage: Arc::default() }
    }

    /// One more actor.
    #[must_use]
    pub fn actor(&self) -> Actor {
        let mut actors = self.stage.actors.lock().unwrap();
        actors.push(State::default());
        Actor { number: actors.len() - 1, stage: Arc::clone(&self.stage) }
    }

    /// Lets calls go, one after the other, until all actors are done. Whenever all actors have
    /// come as far as they can, it takes the next of `choices`; after those, `or_else` chooses.
    pub async fn take(
        &self,
        choices: &[usize],
        mut or_else: impl FnMut(usize) -> usize,
    ) -> (Order, Vec<String>) {
        let (mut order, mut log) = (Order::default(), Vec::new());
        let taken = Idle::within_a_minute(self.step(choices, &mut or_else, &mut order, &mut log));
        if taken.await.is_none() {
            let actors = self.stage.actors.lock().unwrap();
            panic!("all stands still after {:?}, {log:#?}: {actors:#?}", order.choices());
        }
        (order, log)
    }

    async fn step(
        &self,
        choices: &[usize],
        or_else: &mut impl FnMut(usize) -> usize,
        order: &mut Order,
        log: &mut Vec<String>,
    ) {
        loop {
            tokio::select! {
                () = self.rest() => {}
                // The paused clock advances when nobody can go on: an actor waits for it.
                () = tokio::time::sleep(Duration::from_millis(10)) => {}
            }
            let mut actors = self.stage.actors.lock().unwrap();
            let among = actors.iter().map(|state| state.waiting.len()).sum();
            if among > 0 {
                let chosen = choices.get(order.0.len()).copied();
                let chosen = chosen.unwrap_or_else(|| or_else(among)).min(among - 1);
                order.0.push((chosen, among));
                let (actor, call) = self.take_out(&mut actors, chosen);
                log.push(format!("{}: {}", actor.number, call.call));
                drop(actors);
                // An actor that gave up meanwhile does not go.
                let _ = call.go.send(OnItsWay(actor));
            } else if actors.iter().all(|state| state.is_done) {
                return;
            }
        }
    }

    /// Completes when all actors have come as far as they can. A thread of theirs may still
    /// wait, such as one that inspects a package in the bucket; a paused clock does not advance
    /// in the meantime.
    async fn rest(&self) {
        loop {
            self.idle.comes().await;
            if self.stage.actors.lock().unwrap().iter().all(State::is_at_rest) {
                return;
            }
            self.stage.moved.notified().await;
        }
    }

    /// Takes the call with the number `chosen` out of all that wait, sorted by actor and name,
    /// and counts it as on its way.
    fn take_out(
        &self,
        actors: &mut MutexGuard<'_, Vec<State>>,
        mut chosen: usize,
    ) -> (Actor, Waiting) {
        for (number, state) in actors.iter_mut().enumerate() {
            if chosen < state.waiting.len() {
                state.waiting.sort_by(|left, right| left.call.cmp(&right.call));
                state.on_their_way += 1;
                let actor = Actor { number, stage: Arc::clone(&self.stage) };
                return (actor, state.waiting.remove(chosen));
            }
            chosen -= state.waiting.len();
        }
        panic!("fewer calls wait than there are to choose from");
    }
}

/// An actor whose calls wait for their turn.
#[derive(Debug, Clone)]
pub struct Actor {
    number: usize,
    stage: Arc<Stage>,
}

impl Actor {
    /// `engine`, before which the calls of this actor wait for their turn.
    pub fn before<E: HttpConnector + 'static>(&self, engine: E) -> InTurn<E> {
        InTurn { engine, actor: self.clone() }
    }

    /// Starts the work of the actor.
    pub fn does<T: Send + 'static>(
        self,
        what: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        tokio::spawn(async move {
            let _done = Done(self);
            what.await
        })
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.stage.actors.lock().unwrap()[self.number]);
        self.stage.moved.notify_one();
    }
}

/// An engine that is called in turn.
#[derive(Debug, Clone)]
pub struct InTurn<E> {
    engine: E,
    actor: Actor,
}

impl<E: HttpConnector + Clone + 'static> HttpConnector for InTurn<E> {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let call = request.headers().get("x-amz-target").map_or_else(
            || format!("{} {}", request.method(), request.uri().split('?').next().unwrap_or("")),
            |target| target.rsplit('.').next().unwrap_or_default().to_owned(),
        );
        let (go, gone) = oneshot::channel();
        self.actor.change(|state| state.waiting.push(Waiting { call, go }));
        let engine = self.engine.clone();
        HttpConnectorFuture::new(async move {
            // If nobody lets the call go, the test is over.
            let _on_its_way = gone.await;
            engine.call(request).await
        })
    }
}
