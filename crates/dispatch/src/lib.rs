//! Push: lease messages, send them to their targets, decide what follows, settle.
//!
//! [`Dispatcher`] runs one task for each route, which shares the route's concurrency over its targets ([`DispatchPlan`]).
//! Never decides who may publish and never stores anything itself: leases, settlements and attempts go through the queue.

mod conclusion;
pub mod dispatcher;
pub mod egress;
mod exec;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod http;
pub mod plan;
mod reply;
mod route;
mod shares;
mod target;

pub use dispatcher::{DispatchParts, Dispatcher, PreparedPlan};
pub use http::call::{CallError, Caller, Endpoint};
pub use http::resolve::{Resolve, Resolving, SystemResolver};
pub use plan::{DispatchPlan, PlanError, RoutePlan, TargetPlan};
