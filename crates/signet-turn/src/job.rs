use std::sync::{Arc, Mutex, PoisonError};

use crate::Operation;

type Work<R> = Box<dyn FnOnce(&R) + Send>;

/// A closure as an operation that is always answered alone.
pub(crate) struct Job<R>(Mutex<Option<Work<R>>>);

/// Where a job leaves its answer.
pub(crate) struct Answer<T>(Arc<Mutex<Option<T>>>);

impl<R: 'static> Job<R> {
    pub(crate) fn new<T: Send + 'static>(work: impl FnOnce(&R) -> T + Send + 'static) -> (Self, Answer<T>) {
        let place = Arc::new(Mutex::new(None));
        let answer = Answer(Arc::clone(&place));
        let work: Work<R> = Box::new(move |resource| {
            let value = work(resource);
            *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
        });
        (Self(Mutex::new(Some(work))), answer)
    }
}

impl<T> Answer<T> {
    pub(crate) fn take(&self) -> Option<T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl<R: 'static> Operation<R> for Job<R> {
    type Answer = ();
    type Owner = ();

    const MAX_BATCH: usize = 1;

    fn owner(&self) {}

    fn answer(_batch: &[&Self], _resource: &R) -> Option<Vec<()>> {
        None
    }

    fn answer_alone(&self, resource: &R) {
        let work = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(work) = work {
            work(resource);
        }
    }
}
