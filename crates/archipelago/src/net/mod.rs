//! Listeners: unix socket, HTTPS, plain HTTP; certificates; limits.

pub mod activation;
pub mod certs;
mod peer;
pub mod redirect;
pub mod serve;
pub mod unix;

pub use peer::Peer;
