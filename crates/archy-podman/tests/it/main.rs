//! The client against a fake libpod server on a unix socket.

#[cfg(test)]
mod calls;
#[cfg(test)]
mod fake;
#[cfg(test)]
mod streams;
#[cfg(test)]
mod trouble;
