//! The calls. Each checks what it was given in the order that workers of Hookaido 2.11 know, then calls the operation.

use std::sync::Arc;

use hookaido_pull::ops::{Leases, Verdict, Wish};
use hookaido_pull::{Endpoint, Table};
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};

use crate::answer::Handover;
use crate::generated::worker_service_server::WorkerService;
use crate::generated::{
    AckRequest, AckResponse, DequeueRequest, DequeueResponse, ExtendRequest, LeaseConflict, NackRequest, NackResponse,
};
use crate::{convert, error};

/// Bytes of content in one answer, about. Clients refuse messages over 4 MiB unless told otherwise, and would lose what is in them until
/// the leases run out. A single message may be larger.
const MAX_CONTENT: u64 = 3 << 20;

/// Works on one table.
#[derive(Debug)]
pub(crate) struct Worker(pub(crate) Arc<Table>);

impl Worker {
    /// The endpoint that a call names, if its token is good there.
    fn endpoint(&self, path: &str, metadata: &MetadataMap) -> Result<&Arc<Endpoint>, Status> {
        let endpoint = self.0.endpoint(path);
        let tokens = metadata.get_all("authorization");
        let good = |value: &[u8]| self.0.allows(endpoint.map(|endpoint| &**endpoint), Some(value));
        if !tokens.iter().any(|value| good(value.as_encoded_bytes())) {
            return Err(error::unauthorized());
        }
        endpoint.ok_or_else(error::unknown_endpoint)
    }

    async fn settle(&self, endpoint: &Endpoint, leases: Leases, verdict: Verdict) -> Result<Settled, Status> {
        let ended = self.0.settle(endpoint, &leases, &verdict).await.map_err(error::operation)?;
        if matches!(leases, Leases::One(_)) && !ended.conflicts.is_empty() {
            return Err(error::lost());
        }
        Ok(convert::ended(ended))
    }
}

/// How many leases ended, and which did not.
type Settled = (u32, Vec<LeaseConflict>);

/// The path of an endpoint.
fn path(endpoint: &str) -> Result<&str, Status> {
    Some(endpoint.trim()).filter(|path| !path.is_empty()).ok_or_else(error::no_endpoint)
}

#[tonic::async_trait]
impl WorkerService for Worker {
    async fn dequeue(&self, request: Request<DequeueRequest>) -> Result<Response<DequeueResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        let path = path(&request.endpoint)?;
        let max_wait = convert::duration("max_wait", request.max_wait)?;
        let lease_ttl = convert::duration("lease_ttl", request.lease_ttl)?;
        let endpoint = self.endpoint(path, &metadata)?;
        let wish = Wish { batch: Some(request.batch.into()), lease_ttl, max_wait, max_bytes: Some(MAX_CONTENT) };
        let dequeued = self.0.dequeue(endpoint, wish).await.map_err(error::operation)?;
        let items = dequeued.envelopes().iter().map(convert::item).collect();
        let mut response = Response::new(DequeueResponse { items });
        response.extensions_mut().insert(Handover::of(dequeued));
        Ok(response)
    }

    async fn ack(&self, request: Request<AckRequest>) -> Result<Response<AckResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        let endpoint = self.endpoint(path(&request.endpoint)?, &metadata)?;
        let leases = self.0.leases(Some(request.lease_id), Some(request.lease_ids)).map_err(error::naming)?;
        let (acked, conflicts) = self.settle(endpoint, leases, Verdict::Ack).await?;
        Ok(Response::new(AckResponse { acked, conflicts }))
    }

    async fn nack(&self, request: Request<NackRequest>) -> Result<Response<NackResponse>, Status> {
        let (metadata, _, request) = request.into_parts();
        let endpoint = self.endpoint(path(&request.endpoint)?, &metadata)?;
        let delay = convert::duration("delay", request.delay)?;
        let leases = self.0.leases(Some(request.lease_id), Some(request.lease_ids)).map_err(error::naming)?;
        let reason = Some(request.reason);
        let verdict = if request.dead { Verdict::Dead(reason) } else { Verdict::Nack { delay, reason } };
        let (succeeded, conflicts) = self.settle(endpoint, leases, verdict).await?;
        Ok(Response::new(NackResponse { succeeded, conflicts }))
    }

    async fn extend(&self, request: Request<ExtendRequest>) -> Result<Response<()>, Status> {
        let (metadata, _, request) = request.into_parts();
        let path = path(&request.endpoint)?;
        let lease = Some(request.lease_id.trim()).filter(|lease| !lease.is_empty());
        let (Some(lease), Some(by)) = (lease, request.extend_by) else { return Err(error::no_extension()) };
        let by = convert::duration("extend_by", Some(by))?.unwrap_or_default();
        let endpoint = self.endpoint(path, &metadata)?;
        self.0.extend(endpoint, lease, by).await.map_err(error::operation)?;
        Ok(Response::new(()))
    }
}
