use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{Lane, Operation, Refused, threads::Threads};

type Work<R> = Box<dyn FnOnce(&R) + Send>;

/// A queue of closures, each done by itself, on behalf of owners of the type `K` who take turns.
pub struct Jobs<R: 'static, K: PartialEq + Copy + Send + 'static>(Lane<R, Job<R, K>>);

impl<R: 'static, K: PartialEq + Copy + Send + 'static> Jobs<R, K> {
    pub(crate) fn new(threads: &Arc<Threads<R>>) -> Self {
        Self(Lane::new(threads, threads.limits().queue))
    }

    /// How many closures wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Has a thread do `job` on behalf of `owner`, and returns its answer, at the deadline at the latest.
    pub async fn run<T: Send + 'static>(
        &self,
        owner: K,
        job: impl FnOnce(&R) -> T + Send + 'static,
    ) -> Result<T, Refused> {
        let place = Arc::new(Mutex::new(None));
        let answer = Arc::clone(&place);
        let work: Work<R> = Box::new(move |resource| {
            let value = job(resource);
            *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
        });
        self.0.call(Job { owner, work: Mutex::new(Some(work)) }).await?;
        let answer = answer.lock().unwrap_or_else(PoisonError::into_inner).take();
        answer.ok_or(Refused::Abandoned)
    }
}

/// A closure as an operation that is always answered alone.
struct Job<R, K> {
    owner: K,
    work: Mutex<Option<Work<R>>>,
}

impl<R: 'static, K: PartialEq + Copy + Send + 'static> Operation<R> for Job<R, K> {
    type Answer = ();
    type Owner = K;

    const MAX_BATCH: usize = 1;

    fn owner(&self) -> K {
        self.owner
    }

    fn answer(_batch: &[&Self], _resource: &R) -> Option<Vec<()>> {
        None
    }

    fn answer_alone(&self, resource: &R) {
        let work = self.work.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(work) = work {
            work(resource);
        }
    }
}

impl<R: 'static, K: PartialEq + Copy + Send + 'static> Clone for Jobs<R, K> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<R: 'static, K: PartialEq + Copy + Send + 'static> fmt::Debug for Jobs<R, K> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Jobs").field(&self.0).finish()
    }
}
