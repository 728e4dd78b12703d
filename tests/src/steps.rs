//! The steps of a scenario, one function each: it does what the step says and yields what differs from its `expect`.

mod calls;
mod life;
mod looks;
mod sockets;

pub(crate) use calls::Background;

use crate::fail::{Attempt, fail};
use crate::run::Run;
use crate::step::Step;

/// Carries out one step; no differences means that it holds.
pub(crate) fn carry_out(run: &mut Run<'_>, step: &Step) -> Attempt<Vec<String>> {
    match step.kind() {
        "request" => calls::request(run, step),
        "join" => calls::join(run, step),
        "raw" => sockets::raw(run, step),
        "stream" => sockets::stream(run, step),
        "refused" => sockets::refused(run, step),
        "sink" => looks::sink(run, step),
        "metrics" => looks::metrics(run, step),
        "log" => looks::log(run, step),
        "file" => looks::file(run, step),
        "cli" => life::cli(run, step),
        "sleep" => life::sleep(step),
        "restart" => life::restart(run, step),
        "stop" => life::stop(run, step),
        "start" => life::start(run),
        "kill9" => life::kill9(run),
        "signal" => life::signal(run, step),
        "write" => life::write(run, step),
        "remove" => life::remove(run, step),
        other => fail(format!("unknown step {other}")),
    }
}
