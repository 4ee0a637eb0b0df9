//! The port contract as a test suite, an in-memory adapter and builders
