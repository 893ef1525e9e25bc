//! The client against a fake user manager at the other end of a socket pair.

#[cfg(test)]
mod fake;
#[cfg(test)]
mod jobs;
#[cfg(test)]
mod state;
