//! Turns: several actors at once, whose calls to AWS happen one at a time, in an
//! order that is chosen.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// The calls that wait for their turn: whose each is, what it is, and how it is let
/// go.
type Waiting = Vec<(usize, String, oneshot::Sender<()>)>;

/// A place where calls wait for their turn. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Turns(Arc<Mutex<Waiting>>);

/// An order of calls, as far as it was chosen: at each step, which of how many.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Order(pub Vec<(usize, usize)>);

impl Order {
    /// The choices alone, with which the order can be had again.
    #[must_use]
    pub fn choices(&self) -> Vec<usize> {
        self.0.iter().map(|(choice, _)| *choice).collect()
    }

    /// The choices of the next order, in the order of all; none after the last.
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
    /// `engine`, before which the calls of this actor wait for their turn.
    pub fn before<E: HttpConnector + 'static>(&self, actor: usize, engine: E) -> InTurn<E> {
        InTurn { engine, actor, turns: self.clone() }
    }

    /// Lets calls go, one after the other, until all `actors` are done. Each time all
    /// have come as far as they can, it takes the next of `choices`, and after those
    /// what `or_else` chooses. Wants a paused clock, which moves when nobody can.
    pub async fn take<T>(
        &self,
        actors: &[JoinHandle<T>],
        choices: &[usize],
        mut or_else: impl FnMut(usize) -> usize,
    ) -> (Order, Vec<String>) {
        let (mut order, mut log) = (Order::default(), Vec::new());
        let (tick, mut ticks) = tokio::sync::mpsc::unbounded_channel();
        std::thread::spawn(move || {
            while tick.send(()).is_ok() {
                std::thread::sleep(Duration::from_millis(2));
            }
        });
        loop {
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(1)) => {}
                () = self.stand_still(&mut ticks) => {}
            }
            let next = {
                let mut waiting = self.0.lock().unwrap();
                waiting.sort_by(|left, right| (left.0, &left.1).cmp(&(right.0, &right.1)));
                let among = waiting.len();
                (among > 0).then(|| {
                    let step = order.0.len();
                    let choice = choices.get(step).copied().unwrap_or_else(|| or_else(among));
                    order.0.push((choice.min(among - 1), among));
                    waiting.remove(choice.min(among - 1))
                })
            };
            match next {
                Some((actor, call, go)) => {
                    log.push(format!("{actor}: {call}"));
                    let _ = go.send(());
                }
                None if actors.iter().all(JoinHandle::is_finished) => return (order, log),
                // Somebody waits for a clock.
                None => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    }

    /// Done when calls wait and no more come. A paused clock stands still as long as a
    /// thread waits, such as one that inspects a package in the bucket.
    async fn stand_still(&self, ticks: &mut UnboundedReceiver<()>) {
        while ticks.try_recv().is_ok() {}
        let (mut before, mut still) = (0, 0);
        while still < 3 && ticks.recv().await.is_some() {
            let waiting = self.0.lock().unwrap().len();
            still = if waiting > 0 && waiting == before { still + 1 } else { 0 };
            before = waiting;
        }
    }
}

/// An engine that is called in turn.
#[derive(Debug, Clone)]
pub struct InTurn<E> {
    engine: E,
    actor: usize,
    turns: Turns,
}

impl<E: HttpConnector + Clone + 'static> HttpConnector for InTurn<E> {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let call = request.headers().get("x-amz-target").map_or_else(
            || format!("{} {}", request.method(), request.uri().split('?').next().unwrap_or("")),
            |target| target.rsplit('.').next().unwrap_or_default().to_owned(),
        );
        let (go, gone) = oneshot::channel();
        self.turns.0.lock().unwrap().push((self.actor, call, go));
        let engine = self.engine.clone();
        HttpConnectorFuture::new(async move {
            // Where nobody lets it go, the test is over.
            let _ = gone.await;
            engine.call(request).await
        })
    }
}
