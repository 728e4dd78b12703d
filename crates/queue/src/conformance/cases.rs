//! The cases, each a fact about a store.

mod admission;
mod lease;
mod lists;
mod observer;
mod operator;
mod redelivery;
mod retention;
mod settle;
mod together;

use std::pin::Pin;

use super::bench::Bench;

/// A case plays on a store of its own.
pub(super) type Case = fn(Bench) -> Pin<Box<dyn Future<Output = ()> + Send>>;

/// All of them.
pub(super) fn all() -> impl Iterator<Item = Case> {
    [
        admission::CASES,
        lease::CASES,
        lists::CASES,
        observer::CASES,
        operator::CASES,
        redelivery::CASES,
        retention::CASES,
        settle::CASES,
        together::CASES,
    ]
    .into_iter()
    .flatten()
    .copied()
}
