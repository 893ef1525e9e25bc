//! The tasks of this workspace as a library: test nodes, images and the registry they pull from.
//!
//! The binary `xtask` is a thin command line over these modules; `tests/live` uses them directly.
pub mod bench;
pub mod cache;
pub mod codegen;
pub mod corpora;
pub mod desktop;
pub mod dist;
pub mod gate;
pub mod images;
pub mod node;
pub mod platform;
pub mod sh;
pub mod test;
pub mod tidy;
pub mod up;
pub mod web;
pub mod workspace;
