//! The API as a client sees it, in process, over the in-memory store.

mod compressing;
mod corpora;
mod cross_origin;
mod documents;
mod faults;
mod framing;
mod log;
mod mixed_up;
mod operations;
mod ratchet;
mod refusals;
mod serving;
mod support;
mod wire;
