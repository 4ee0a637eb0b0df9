use std::sync::{
    Mutex,
    mpsc::{Receiver, Sender, channel},
};

use super::*;

const AMPLE: Duration = Duration::from_mins(1);

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
        let jobs = turn.jobs();
        let job = tokio::spawn(async move {
            let work = move |_: &R| {
                started.send(()).expect("the test waits");
                held.recv().is_ok()
            };
            jobs.run((), work).await
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
    assert_eq!(turn(1, AMPLE).jobs().run((), |()| 7).await, Ok(7));
}

#[tokio::test]
async fn a_panic_ends_its_job_alone() {
    let jobs = turn(1, AMPLE).jobs();
    assert_eq!(jobs.run((), |()| panic!("on purpose")).await, Err::<(), _>(Refused::Abandoned));
    assert_eq!(jobs.run((), |()| 7).await, Ok(7));
}

#[tokio::test]
async fn a_stuck_thread_holds_nobody_past_the_deadline() {
    let (release, stuck) = channel::<()>();
    let jobs = turn(8, Duration::from_millis(50)).jobs();
    assert_eq!(jobs.run((), move |()| stuck.recv().is_ok()).await, Err(Refused::DeadlineExceeded));
    assert_eq!(jobs.run((), |()| 7).await, Err(Refused::DeadlineExceeded), "behind the stuck one");
    drop(release);
}

#[tokio::test]
async fn a_thread_tells_for_how_long_it_has_been_stuck() {
    let turn = turn(1, AMPLE);
    assert_eq!(turn.busy_for(), Duration::ZERO);
    let busy = Busy::keep(&turn).await;
    let (one, other) = (turn.busy_for(), turn.busy_for());
    assert!(other > one && one > Duration::ZERO, "{one:?} {other:?}");
    drop(busy);
    while turn.busy_for() > Duration::ZERO {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_full_queue_refuses_at_once_and_an_abandoned_job_is_not_started() {
    let turn = turn(1, AMPLE);
    let busy = Busy::keep(&turn).await;

    let jobs = turn.jobs();
    let (touched, not_started) = channel::<()>();
    let mut waiting = Box::pin(jobs.run((), move |()| touched.send(()).is_ok()));
    assert!(waits(&mut waiting).await);
    assert_eq!(jobs.run((), |()| 7).await, Err(Refused::Overloaded));

    drop(waiting);
    drop(busy);
    assert_eq!(turn.jobs().run((), |()| 7).await, Ok(7), "the thread is past it");
    assert!(not_started.recv().is_err(), "dropped without running");
}

/// While the threads are stuck nobody looks at the queue, and it must not stay full of those who have given up.
#[tokio::test]
async fn those_who_gave_up_keep_no_place_from_others() {
    let turn = turn(2, AMPLE);
    let busy = Busy::keep(&turn).await;
    let jobs = turn.jobs();
    for _ in 0..3 {
        let (mut one, mut two) = (Box::pin(jobs.run((), |()| 1)), Box::pin(jobs.run((), |()| 2)));
        assert!(waits(&mut one).await && waits(&mut two).await);
        assert_eq!(jobs.run((), |()| 3).await, Err(Refused::Overloaded));
    }
    let mut waiting = Box::pin(jobs.run((), |()| 7));
    assert!(waits(&mut waiting).await);
    drop(busy);
    assert_eq!(waiting.await, Ok(7));
}

#[tokio::test]
async fn a_full_lane_leaves_another_open() {
    let turn = turn(1, AMPLE);
    let busy = Busy::keep(&turn).await;
    let (jobs, probes) = (turn.jobs(), turn.jobs());
    let mut waiting = Box::pin(jobs.run((), |()| 1));
    assert!(waits(&mut waiting).await);
    assert_eq!(jobs.run((), |()| 2).await, Err(Refused::Overloaded));
    let mut probe = Box::pin(probes.run((), |()| 3));
    assert!(waits(&mut probe).await);
    drop(busy);
    assert_eq!(probe.await, Ok(3));
}

#[tokio::test]
async fn owners_of_jobs_share_the_queue_and_take_turns() {
    let turn = turn(4, AMPLE);
    let busy = Busy::keep(&turn).await;
    let (jobs, order) = (turn.jobs(), Arc::new(Mutex::new(Vec::new())));
    let job = |owner: char| {
        let order = Arc::clone(&order);
        Box::pin(jobs.run(owner, move |()| order.lock().expect("not poisoned").push(owner)))
    };
    let (mut one, mut two, mut other) = (job('a'), job('a'), job('b'));
    assert!(waits(&mut one).await && waits(&mut two).await);
    assert_eq!(job('a').await, Err(Refused::Overloaded), "half of the places are for others");
    assert!(waits(&mut other).await);
    drop(busy);
    assert_eq!(tokio::join!(one, two, other), (Ok(()), Ok(()), Ok(())));
    assert_eq!(*order.lock().expect("not poisoned"), ['a', 'b', 'a']);
}

/// What was answered together, batch by batch.
#[derive(Default)]
struct Journal(Mutex<Vec<Vec<u32>>>);

/// Answers with its own number. A multiple of 100 spoils the batch that it is in; 13 panics once it is answered; what
/// comes behind a 77 is left for later.
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
        let mut numbers: Vec<u32> = batch.iter().map(|echo| echo.number).collect();
        let end = numbers.iter().position(|number| *number == 77).map_or(numbers.len(), |index| index + 1);
        numbers.truncate(end);
        if numbers.iter().any(|number| number % 100 == 0) {
            return None;
        }
        journal.0.lock().expect("not poisoned").push(numbers.clone());
        assert!(!numbers.contains(&13), "on purpose");
        Some(numbers)
    }

    fn answer_alone(&self, journal: &Arc<Journal>) -> u32 {
        journal.0.lock().expect("not poisoned").push(vec![self.number]);
        assert_ne!(self.number, 13, "on purpose");
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
    assert_eq!(echoes.batches(), [vec![1, 7, 2, 3], vec![4, 5, 6]]);
}

#[tokio::test]
async fn an_owner_may_fill_half_of_the_queue_at_most() {
    let echoes = Echoes::new(4);
    let answers = echoes.together(&[(1, 1), (1, 2), (1, 3), (2, 4)]).await;
    assert_eq!(answers, [Ok(1), Ok(2), Err(Refused::Overloaded), Ok(4)]);
}

#[tokio::test]
async fn floods_of_two_owners_leave_places_for_a_third() {
    let echoes = Echoes::new(4);
    let answers = echoes.together(&[(1, 1), (2, 2), (1, 3), (2, 4), (3, 5), (3, 6)]).await;
    // The third owner's first takes a place of one that has two, and its second finds nobody with two more than it has.
    let refused: Vec<_> = answers.iter().map(|answer| answer == &Err(Refused::Overloaded)).collect();
    assert_eq!(refused, [false, false, false, true, false, true], "{answers:?}");
}

#[tokio::test]
async fn a_batch_that_fails_is_answered_member_by_member() {
    let echoes = Echoes::new(100);
    let answers = echoes.together(&[(1, 1), (1, 100), (1, 3)]).await;
    assert_eq!(answers, [Ok(1), Ok(100), Ok(3)]);
    assert_eq!(echoes.batches(), [vec![1], vec![100], vec![3]]);
}

#[tokio::test]
async fn a_batch_that_fails_is_first_answered_owner_by_owner() {
    let echoes = Echoes::new(100);
    let answers = echoes.together(&[(1, 1), (2, 100), (1, 2), (2, 3)]).await;
    assert_eq!(answers, [Ok(1), Ok(100), Ok(2), Ok(3)]);
    assert_eq!(echoes.batches(), [vec![1, 2], vec![100], vec![3]]);
}

#[tokio::test]
async fn what_a_batch_leaves_is_answered_next() {
    let echoes = Echoes::new(100);
    let answers = echoes.together(&[(1, 77), (1, 2), (1, 77), (1, 4)]).await;
    assert_eq!(answers, [Ok(77), Ok(2), Ok(77), Ok(4)]);
    assert_eq!(echoes.batches(), [vec![77], vec![2, 77], vec![4]]);
}

#[tokio::test]
async fn a_panic_in_a_batch_has_nothing_done_twice() {
    let echoes = Echoes::new(100);
    let answers = echoes.together(&[(1, 1), (1, 13), (2, 3)]).await;
    assert_eq!(answers, [Err(Refused::Abandoned); 3]);
    assert_eq!(echoes.batches(), [[1, 3, 13]], "done once, whatever became of it");
    assert_eq!(echoes.lane.call(Echo { owner: 1, number: 4 }).await, Ok(4), "the thread lives on");
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

/// One worker is still in the turn in which it handed something over when another does the same.
#[tokio::test]
async fn a_worker_does_not_wait_for_the_turn_of_another() {
    let echoes = Echoes::new(100);
    // So that the thread is there, and sleeps or is about to.
    assert_eq!(echoes.lane.call(Echo { owner: 1, number: 1 }).await, Ok(1));
    let mut first = Box::pin(echoes.lane.call(Echo { owner: 1, number: 2 }));
    assert!(waits(&mut first).await);
    let lane = echoes.lane.clone();
    let other = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        runtime.block_on(lane.call(Echo { owner: 2, number: 3 }))
    });
    assert_eq!(other.join().expect("joins"), Ok(3), "this worker has been blocked until now");
    assert_eq!(first.await, Ok(2));
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

/// Takes 5 ms for up to four at once.
struct Slow;

impl Operation<()> for Slow {
    type Answer = ();
    type Owner = ();

    const MAX_BATCH: usize = 4;

    fn owner(&self) {}

    fn answer(batch: &[&Self], (): &()) -> Option<Vec<()>> {
        work();
        Some(vec![(); batch.len()])
    }

    fn answer_alone(&self, (): &()) {
        work();
    }
}

#[expect(clippy::disallowed_methods, reason = "the slowness is what is tested")]
fn work() {
    std::thread::sleep(Duration::from_millis(5));
}

/// Else the queue grows longer than the deadline, and the thread works for those alone who are about to give up.
#[tokio::test]
async fn ten_times_too_much_is_refused_at_once_and_what_is_taken_is_answered_in_time() {
    let limits = Limits { threads: 1, queue: 10_000, deadline: Duration::from_secs(1) };
    let lane = Turn::start("test", limits, ()).expect("threads").lane::<Slow>();
    let mut calls = tokio::task::JoinSet::new();
    let mut ticks = tokio::time::interval(Duration::from_millis(5));
    for _ in 0..400 {
        ticks.tick().await;
        for _ in 0..40 {
            let lane = lane.clone();
            calls.spawn(async move { lane.call(Slow).await });
        }
    }
    let answers = calls.join_all().await;
    let count = |of: Result<(), Refused>| answers.iter().filter(|answer| **answer == of).count();
    let (done, refused) = (count(Ok(())), count(Err(Refused::Overloaded)));
    let expired = count(Err(Refused::DeadlineExceeded));
    assert!(refused > done && expired * 20 < done, "{done} done, {refused} refused, {expired} expired");
}
