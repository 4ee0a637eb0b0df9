//! The signet binary
