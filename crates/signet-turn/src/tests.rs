use std::sync::{
    Mutex,
    mpsc::{Receiver, Sender, channel},
};

use super::*;

const AMPLE: Duration = Duration::from_secs(60);

fn turn(queue: usize, deadline: Duration) -> Turn<()> {
    Turn::start("test", Limits { threads: 1, queue, deadline }, ()).expect("threads")
}

/// Polls a future once, and tells whether it waits.
async fn waits<F: Future + Unpin>(future: &mut F) -> bool {
    std::future::poll_fn(|context| std::task::Poll::Ready(std::pin::Pin::new(&mut *future).poll(context).is_pending()))
        .await
}

/// Keeps the only thread of a turn busy until it is dropped.
struct Busy(Option<Sender<()>>);

impl Busy {
    async fn keep<R: Send + Sync + 'static>(turn: &Turn<R>) -> Self {
        let (release, held) = channel::<()>();
        let (started, running) = channel::<()>();
        let turn = turn.clone();
        let job = tokio::spawn(async move {
            turn.run(move |_| {
                started.send(()).expect("the test waits");
                held.recv().is_ok()
            })
            .await
        });
        // On a runtime of one thread, so the job is handed over in these two turns.
        tokio::task::yield_now().await;
        tokio::task::yield_now().await;
        running.recv().expect("the job runs");
        drop(job);
        Self(Some(release))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        drop(self.0.take());
    }
}

#[tokio::test]
async fn a_job_answers() {
    assert_eq!(turn(1, AMPLE).run(|()| 7).await, Ok(7));
}

#[tokio::test]
async fn a_panic_ends_its_job_alone() {
    let turn = turn(1, AMPLE);
    assert_eq!(turn.run(|()| panic!("on purpose")).await, Err::<(), _>(Refused::Abandoned));
    assert_eq!(turn.run(|()| 7).await, Ok(7));
}

#[tokio::test]
async fn a_stuck_thread_holds_nobody_past_the_deadline() {
    let (release, stuck) = channel::<()>();
    let turn = turn(8, Duration::from_millis(50));
    assert_eq!(turn.run(move |()| stuck.recv().is_ok()).await, Err(Refused::DeadlineExceeded));
    assert_eq!(turn.run(|()| 7).await, Err(Refused::DeadlineExceeded), "behind the stuck one");
    drop(release);
}

#[tokio::test]
async fn a_full_queue_refuses_at_once_and_an_abandoned_job_is_not_started() {
    let turn = turn(1, AMPLE);
    let busy = Busy::keep(&turn).await;

    let (touched, not_started) = channel::<()>();
    let mut waiting = Box::pin(turn.run(move |()| touched.send(()).is_ok()));
    assert!(waits(&mut waiting).await);
    assert_eq!(turn.run(|()| 7).await, Err(Refused::Overloaded));

    drop(waiting);
    drop(busy);
    assert!(not_started.recv().is_err(), "dropped without running");
}

/// What was answered together, batch by batch.
#[derive(Default)]
struct Journal(Mutex<Vec<Vec<u32>>>);

/// Answers with its own number. A multiple of 100 spoils the batch that it is in; 13 panics.
struct Echo {
    owner: u32,
    number: u32,
}

struct Echoes {
    turn: Turn<Arc<Journal>>,
    lane: Lane<Arc<Journal>, Echo>,
    journal: Arc<Journal>,
}

impl Operation<Arc<Journal>> for Echo {
    type Answer = u32;
    type Owner = u32;

    const MAX_BATCH: usize = 4;

    fn owner(&self) -> u32 {
        self.owner
    }

    fn answer(batch: &[&Self], journal: &Arc<Journal>) -> Option<Vec<u32>> {
        let numbers: Vec<u32> = batch.iter().map(|echo| echo.number).collect();
        if numbers.iter().any(|number| number % 100 == 0) {
            return None;
        }
        assert!(!numbers.contains(&13), "on purpose");
        journal.0.lock().expect("not poisoned").push(numbers.clone());
        Some(numbers)
    }

    fn answer_alone(&self, journal: &Arc<Journal>) -> u32 {
        assert_ne!(self.number, 13, "on purpose");
        journal.0.lock().expect("not poisoned").push(vec![self.number]);
        self.number
    }
}

impl Echoes {
    fn new(queue: usize) -> Self {
        let journal: Arc<Journal> = Arc::default();
        let limits = Limits { threads: 1, queue, deadline: AMPLE };
        let turn = Turn::start("test", limits, Arc::clone(&journal)).expect("threads");
        let lane = turn.lane();
        Self { turn, lane, journal }
    }

    /// Hands over one echo per pair of owner and number while the thread is busy, then returns all answers.
    async fn together(&self, echoes: &[(u32, u32)]) -> Vec<Result<u32, Refused>> {
        let busy = Busy::keep(&self.turn).await;
        let mut calls: Vec<_> =
            echoes.iter().map(|&(owner, number)| Box::pin(self.lane.call(Echo { owner, number }))).collect();
        let mut refused = vec![None; calls.len()];
        for (call, refused) in calls.iter_mut().zip(&mut refused) {
            std::future::poll_fn(|context| {
                if let std::task::Poll::Ready(answer) = call.as_mut().poll(context) {
                    *refused = Some(answer);
                }
                std::task::Poll::Ready(())
            })
            .await;
        }
        drop(busy);
        let mut answers = Vec::new();
        for (call, refused) in calls.into_iter().zip(refused) {
            answers.push(match refused {
                Some(answer) => answer,
                None => call.await,
            });
        }
        answers
    }

    fn batches(&self) -> Vec<Vec<u32>> {
        self.journal.0.lock().expect("not poisoned").clone()
    }
}

#[tokio::test]
async fn what_waits_together_is_answered_together() {
    let echoes = Echoes::new(100);
    let answers = echoes.together(&[(1, 1), (1, 2), (1, 3), (1, 4), (1, 5)]).await;
    assert_eq!(answers, [Ok(1), Ok(2), Ok(3), Ok(4), Ok(5)]);
    assert_eq!(echoes.batches(), [vec![1, 2, 3, 4], vec![5]]);
}

#[tokio::test]
async fn a_flood_of_one_owner_leaves_room_for_another() {
    let echoes = Echoes::new(100);
    echoes.together(&[(1, 1), (1, 2), (1, 3), (1, 4), (1, 5), (1, 6), (2, 7)]).await;
    assert_eq!(echoes.batches()[0], [1, 2, 3, 7]);
}

#[tokio::test]
async fn an_owner_may_fill_half_of_the_queue_at_most() {
    let echoes = Echoes::new(4);
    let answers = echoes.together(&[(1, 1), (1, 2), (1, 3), (2, 4)]).await;
    assert_eq!(answers, [Ok(1), Ok(2), Err(Refused::Overloaded), Ok(4)]);
}

#[tokio::test]
async fn a_batch_that_fails_is_answered_member_by_member() {
    let echoes = Echoes::new(100);
    let answers = echoes.together(&[(1, 1), (1, 100), (1, 3)]).await;
    assert_eq!(answers, [Ok(1), Ok(100), Ok(3)]);
    assert_eq!(echoes.batches(), [vec![1], vec![100], vec![3]]);
}

#[tokio::test]
async fn a_member_that_panics_alone_fails_alone() {
    let echoes = Echoes::new(100);
    let answers = echoes.together(&[(1, 100), (1, 13), (1, 3)]).await;
    assert_eq!(answers, [Ok(100), Err(Refused::Abandoned), Ok(3)]);
}

#[tokio::test]
async fn a_caller_that_hands_over_and_goes_away_leaves_the_others_served() {
    let echoes = Echoes::new(100);
    // It is the one who would have woken the thread.
    let mut gone = Box::pin(echoes.lane.call(Echo { owner: 1, number: 1 }));
    assert!(waits(&mut gone).await);
    let mut stays = Box::pin(echoes.lane.call(Echo { owner: 1, number: 2 }));
    assert!(waits(&mut stays).await);
    drop(gone);
    assert_eq!(stays.await, Ok(2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_callers_on_many_workers_all_get_their_own_answer() {
    let journal: Arc<Journal> = Arc::default();
    let limits = Limits { threads: 2, queue: 10_000, deadline: AMPLE };
    let lane = Turn::start("test", limits, Arc::clone(&journal)).expect("threads").lane::<Echo>();
    let callers: Vec<_> = (0..50)
        .map(|owner| {
            let lane = lane.clone();
            tokio::spawn(async move {
                for number in (owner * 1000..).filter(|number| number % 100 != 13).take(200) {
                    assert_eq!(lane.call(Echo { owner, number }).await, Ok(number));
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.expect("no caller fails");
    }
    let answered: usize = journal.0.lock().expect("not poisoned").iter().map(Vec::len).sum();
    assert_eq!(answered, 50 * 200);
}

#[tokio::test]
async fn the_threads_end_with_their_last_handle() {
    struct Told(Sender<()>);
    impl Drop for Told {
        fn drop(&mut self) {
            self.0.send(()).expect("the test waits");
        }
    }
    let (tell, told): (Sender<()>, Receiver<()>) = channel();
    let limits = Limits { threads: 2, queue: 1, deadline: AMPLE };
    let resource = Mutex::new(Told(tell));
    drop(Turn::start("test", limits, resource).expect("threads"));
    assert!(told.recv().is_ok());
}
