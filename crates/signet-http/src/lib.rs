//! The REST front end
