//! Push: lease messages, send them to their targets, decide what follows, settle.
//!
//! [`Dispatcher`] runs one task for each route, which shares the route's concurrency over its targets ([`DispatchPlan`]).
//! Never decides who may publish and never stores anything itself: leases, settlements and attempts go through the queue.

pub mod plan;

pub use plan::{DispatchPlan, PlanError, RoutePlan, TargetPlan};
