use std::{cell::Cell, rc::Rc};

/// What a connection and the handler of its current request tell each other about the body of that request.
///
/// They run in one task, and the handler is polled after each read and before each flush of the connection: neither has to
/// wake the other.
#[derive(Clone, Default)]
pub(crate) struct BodySignal(Rc<Cell<State>>);

#[derive(Clone, Copy, Default, PartialEq)]
enum State {
    #[default]
    Comes,
    /// The client waits for `100 Continue` before it sends it.
    AwaitsContinue,
    /// The handler waits for it meanwhile.
    WantsContinue,
    Malformed,
}

impl BodySignal {
    /// A request begins.
    pub(super) fn begin(&self, awaits_continue: bool) {
        self.0.set(if awaits_continue { State::AwaitsContinue } else { State::Comes });
    }

    /// The client sends the body, whether it was told to or not.
    pub(super) fn body_arrives(&self) {
        self.0.set(State::Comes);
    }

    pub(super) fn body_is_malformed(&self) {
        self.0.set(State::Malformed);
    }

    /// Whether `100 Continue` must be sent now; true once.
    pub(super) fn take_continue(&self) -> bool {
        let wants = self.0.get() == State::WantsContinue;
        if wants {
            self.0.set(State::Comes);
        }
        wants
    }

    /// The handler reads the body.
    pub(crate) fn want_body(&self) {
        if self.0.get() == State::AwaitsContinue {
            self.0.set(State::WantsContinue);
        }
    }

    /// Whether the client holds the body back until it is wanted.
    pub(crate) fn awaits_continue(&self) -> bool {
        self.0.get() == State::AwaitsContinue
    }

    /// Whether no more of the body can be read.
    pub(crate) fn is_malformed(&self) -> bool {
        self.0.get() == State::Malformed
    }
}
