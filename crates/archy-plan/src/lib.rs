//! Desired and observed state, and the plan that leads from one to the other.
//!
//! Ring 0 and pure: [`plan`] is a function of what is wanted and what was seen. The same value is
//! printed by the CLI, shown by the UI and executed by the engine (invariant 6).
//!
//! * [`render_app`] makes an app's units; callers may keep them from pass to pass and hand them to
//!   [`plan_with`].
//! * [`check`] looks for what forbids or spoils a plan before anything is touched.
//! * [`assess`] derives the state that people see.

pub mod adopt;
pub mod assess;
pub mod check;
mod data;
pub mod desired;
mod drift;
mod hooks;
pub mod intent;
pub mod observed;
mod order;
mod phase;
mod provider;
pub mod rebuild;
mod render;
mod scene;
mod secrets;
mod soak;
pub mod step;
mod text;

pub use adopt::{Adopted, Foreign};
pub use assess::{Assessment, ServiceAssessment, assess, assess_among};
pub use check::{check_downgrade, check_settings, rights_diff};
pub use data::may_have_run;
pub use desired::{DataDue, DesiredApp, DesiredState};
pub use drift::setting;
pub use hooks::{owes_first, owing, running_containers, settles};
pub use intent::Intent;
pub use observed::{Known, Observed, Strangers};
pub use order::{plan, plan_with};
pub use provider::{boot_levels, dependants};
pub use render::{contexts, local_images, render_app, role_host};
pub use soak::{Soak, soak};
pub use step::{Check, LegacyStep, Plan, PlannedStep, Severity, Step};
pub use text::{away, describe};
