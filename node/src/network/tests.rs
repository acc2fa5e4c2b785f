//! Networks on loopback with real sockets. Every wait is for an event, with a deadline.

mod authorities;
mod clients;
mod mesh;
mod service;
mod support;
