//! The planner against a modelled world, and tables of checks and states.

mod apps;
mod assess;
mod cases;
mod checks;
mod property;
mod world;
