//! The use cases: register, list, get, update and remove users, and the keys that guard them
