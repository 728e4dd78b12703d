//! Providers and workers that go on until the server is gone, and write into a ledger what they know.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::{Client, Pulled};
use crate::clock;
use crate::conn::RawAnswer;
use crate::fail::{Attempt, fail};
use crate::ledger::{Ledger, head};

/// What a worker does with a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// Acknowledges it.
    Ack,
    /// Goes away without a word; the leases run out.
    Leave,
    /// Gives it back, ready at once.
    Nack,
    /// Makes dead letters of it.
    Bury,
    /// Takes more time, then acknowledges.
    ExtendAndAck,
}

/// A worker of one endpoint.
#[derive(Debug)]
pub struct Worker<'l> {
    /// Connected to the pull API, with its token.
    pub client: Client,
    /// Where it writes.
    pub ledger: &'l Ledger,
    /// Path of the endpoint.
    pub endpoint: &'static str,
    /// Most messages it takes at a time.
    pub batch: u32,
    /// Length of its leases.
    pub ttl: Duration,
    /// What it does, batch by batch, again and again.
    pub deeds: &'static [Deed],
}

/// How long somebody who is ahead of the workers waits for them.
const PATIENCE: Duration = Duration::from_millis(200);

/// Waits while more than `most` messages that were accepted have not ended, for a short time at most.
pub fn keep_pace(ledger: &Ledger, most: u64) {
    clock::poll(PATIENCE, Duration::from_millis(5), || {
        let totals = ledger.totals();
        (totals.accepted.saturating_sub(totals.ended) <= most).then_some(())
    });
}

/// Posts webhooks to `path` until the server is gone, not much more than `most` ahead of the workers. Bodies are of all sizes: several
/// fit one page, or one takes several.
pub fn post_until_gone(mut client: Client, ledger: &Ledger, path: &str, most: u64) {
    loop {
        keep_pace(ledger, most);
        let number = ledger.begin();
        match client.post(path, &body(number)) {
            Ok(202) => ledger.accepted(&[number]),
            // The disk or the process is about to go; who is told so may send it again.
            Ok(503) => {}
            Ok(other) => ledger.complain(format!("ingress answered {other}")),
            Err(_) => return,
        }
    }
}

/// The body of a message, up to 9,000 bytes.
pub fn body(number: u64) -> String {
    let filler = usize::try_from(number.wrapping_mul(379) % 9_000).unwrap_or(0);
    format!("{}{}", head(number), "x".repeat(filler))
}

impl Worker<'_> {
    /// Takes until the server is gone.
    pub fn work_until_gone(mut self) {
        let deeds = self.deeds;
        for deed in deeds.iter().cycle() {
            let taken = self.take("100ms");
            match taken {
                Ok(batch) if batch.is_empty() => {}
                Ok(batch) => {
                    if self.does(*deed, &batch).is_err() {
                        return;
                    }
                }
                Err(_) => return,
            }
        }
    }

    /// Takes and acknowledges until nothing comes for `max_wait`.
    pub fn drain(&mut self, max_wait: &str) -> Attempt<()> {
        loop {
            let batch = self.take(max_wait)?;
            if batch.is_empty() {
                return Ok(());
            }
            self.ack(&batch)?;
        }
    }

    /// Waits for messages; none if there are none, and none while the disk does not take writes.
    pub fn take(&mut self, max_wait: &str) -> Attempt<Vec<Pulled>> {
        let asked = Instant::now();
        let ttl = format!("{}ms", self.ttl.as_millis());
        let batch = match self.client.dequeue(self.endpoint, self.batch, &ttl, max_wait) {
            Err(refused) if refused.0.contains(": 503 ") => vec![],
            other => other?,
        };
        self.ledger.taken(&batch, asked, self.ttl);
        Ok(batch)
    }

    /// Does something with a batch.
    pub fn does(&mut self, deed: Deed, batch: &[Pulled]) -> Attempt<()> {
        match deed {
            Deed::Leave => Ok(()),
            Deed::Ack => self.ack(batch),
            Deed::ExtendAndAck => {
                for message in batch {
                    let wish = json!({"lease_id": message.lease, "extend_by": "250ms"});
                    if self.ask("extend", &wish)?.status == 204 {
                        self.ledger.extended(message, Duration::from_millis(250));
                    }
                }
                self.ack(batch)
            }
            Deed::Nack => self.give_back(batch, &json!({"lease_ids": leases(batch), "delay": "0s"})),
            Deed::Bury => self.give_back(batch, &json!({"lease_ids": leases(batch), "dead": true, "reason": "load"})),
        }
    }

    fn ack(&mut self, batch: &[Pulled]) -> Attempt<()> {
        self.ledger.letting_go(batch, true);
        let answer = self.ask("ack", &json!({"lease_ids": leases(batch)}))?;
        match answer.status {
            200 => self.ledger.acked(batch, &[]),
            // A lease may end before its ack on a busy machine.
            409 => {
                let told: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
                let conflicts = told.get("conflicts").and_then(Value::as_array).into_iter().flatten();
                let lost = conflicts.filter_map(|one| one.get("lease_id")?.as_str().map(str::to_owned));
                self.ledger.acked(batch, &lost.collect::<Vec<_>>());
            }
            503 => {}
            other => self.ledger.complain(format!("ack answered {other}")),
        }
        Ok(())
    }

    fn give_back(&mut self, batch: &[Pulled], wish: &Value) -> Attempt<()> {
        self.ledger.letting_go(batch, false);
        match self.ask("nack", wish)?.status {
            200 | 409 | 503 => {}
            other => self.ledger.complain(format!("nack answered {other}")),
        }
        Ok(())
    }

    fn ask(&mut self, operation: &str, wish: &Value) -> Attempt<RawAnswer> {
        let path = format!("{}/{operation}", self.endpoint);
        let answer = self.client.call("POST", &path, wish.to_string().as_bytes())?;
        if answer.status >= 500 && answer.status != 503 {
            return fail(format!("{operation} answered {}", answer.status));
        }
        Ok(answer)
    }
}

fn leases(batch: &[Pulled]) -> Vec<&str> {
    batch.iter().map(|message| message.lease.as_str()).collect()
}
