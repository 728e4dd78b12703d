"""A gRPC worker in Python: grpc_worker.py STUBS INGRESS GRPC TOKEN [CA [CERT KEY]] (INGRESS and GRPC are HOST:PORT).

STUBS is the folder of the code that grpcio-tools made from our .proto file. Without CA everything is worked off in every way that the
API knows; with it only the way there is tried. Prints `ok NAME` for what holds.
"""

import http.client
import sys
import threading
import time

STUBS, INGRESS, GRPC, TOKEN, *FILES = sys.argv[1:]
sys.path.insert(0, STUBS)

import grpc  # noqa: E402
from google.protobuf.duration_pb2 import Duration  # noqa: E402
from hookaido.worker.v1 import worker_pb2 as pb  # noqa: E402
from hookaido.worker.v1 import worker_pb2_grpc  # noqa: E402


def read(name):
    with open(name, "rb") as file:
        return file.read()


def channel():
    if not FILES:
        return grpc.insecure_channel(GRPC)
    ca, *own = map(read, FILES)
    certificate, key = own or (None, None)
    return grpc.secure_channel(GRPC, grpc.ssl_channel_credentials(ca, key, certificate))


CHANNEL = channel()
STUB = worker_pb2_grpc.WorkerServiceStub(CHANNEL)


def seconds(value):
    span = Duration()
    span.FromNanoseconds(round(value * 1e9))
    return span


def send(text):
    connection = http.client.HTTPConnection(INGRESS, timeout=10)
    connection.request("POST", "/a", text.encode(), {"Content-Type": "text/plain"})
    status = connection.getresponse().status
    connection.close()
    assert status == 202, status


def call(method, request, token=TOKEN, timeout=20):
    return method(request, metadata=[("authorization", "Bearer " + token)], timeout=timeout)


def refused(method, request, **how):
    try:
        answer = call(method, request, **how)
    except grpc.RpcError as error:
        return error.code().name
    raise AssertionError(answer)


def wish(batch=1, wait=0.0, ttl=None):
    request = pb.DequeueRequest(endpoint="/a", batch=batch, max_wait=seconds(wait))
    if ttl is not None:
        request.lease_ttl.CopyFrom(seconds(ttl))
    return request


def take(batch=1, wait=5.0, ttl=None):
    return list(call(STUB.Dequeue, wish(batch, wait, ttl)).items)


def ack(*leases):
    answer = call(STUB.Ack, pb.AckRequest(endpoint="/a", lease_ids=leases))
    return answer.acked, [conflict.lease_id for conflict in answer.conflicts]


def dequeue_and_ack():
    send("Grüße 🪝")
    (item,) = take()
    assert item.payload.decode() == "Grüße 🪝" and item.attempt == 1 and item.route == "/a", item
    assert item.headers["Content-Type"] == "text/plain" and item.trace["path"] == "/a", item
    assert abs(item.received_at.ToDatetime().timestamp() - time.time()) < 86400, item
    one = pb.AckRequest(endpoint="/a", lease_id=item.lease_id)
    assert call(STUB.Ack, one).acked == 1 and call(STUB.Ack, one).acked == 1
    assert take(wait=0) == []


def nack_and_dead():
    send("again")
    (item,) = take()
    nack = pb.NackRequest(endpoint="/a", lease_id=item.lease_id, delay=seconds(0.3))
    assert call(STUB.Nack, nack).succeeded == 1
    (item,) = take()
    assert item.attempt == 2 and item.payload == b"again", item
    dead = pb.NackRequest(endpoint="/a", lease_ids=[item.lease_id, "nope"], dead=True, reason="no good")
    answer = call(STUB.Nack, dead)
    assert answer.succeeded == 1 and [c.lease_id for c in answer.conflicts] == ["nope"], answer
    assert take(wait=0) == []


def extend():
    send("slow")
    (item,) = take(ttl=0.4)
    more = pb.ExtendRequest(endpoint="/a", lease_id=item.lease_id, extend_by=seconds(30))
    call(STUB.Extend, more)
    assert take(wait=0.7) == []
    assert ack(item.lease_id) == (1, [])


def batch_and_conflict():
    for i in range(5):
        send(f"m{i}")
    items = take(batch=10)
    assert [item.payload.decode() for item in items] == ["m0", "m1", "m2", "m3", "m4"], items
    leases = [item.lease_id for item in items]
    assert ack(*leases, "nope") == (5, ["nope"])
    assert ack(*leases) == (5, [])
    lost = pb.AckRequest(endpoint="/a", lease_id="nope")
    assert refused(STUB.Ack, lost) == "FAILED_PRECONDITION"
    both = pb.AckRequest(endpoint="/a", lease_id="x", lease_ids=["y"])
    assert refused(STUB.Ack, both) == "INVALID_ARGUMENT"


def long_poll():
    timer = threading.Timer(0.3, send, ["later"])
    timer.start()
    began = time.monotonic()
    (item,) = take(wait=10)
    assert item.payload == b"later" and 0.2 < time.monotonic() - began < 4
    timer.join()
    assert ack(item.lease_id) == (1, [])


def wrong_token():
    assert refused(STUB.Dequeue, wish(), token="wrong") == "UNAUTHENTICATED"
    elsewhere = pb.DequeueRequest(endpoint="/nope")
    assert refused(STUB.Dequeue, elsewhere) == "NOT_FOUND"
    assert refused(STUB.Dequeue, pb.DequeueRequest()) == "INVALID_ARGUMENT"


def cancelled_call():
    waiting = STUB.Dequeue.future(wish(wait=30), metadata=[("authorization", "Bearer " + TOKEN)])
    assert take(wait=0) == []
    waiting.cancel()
    assert refused(STUB.Dequeue, wish(wait=30), timeout=0.3) == "DEADLINE_EXCEEDED"
    send("kept")
    (item,) = take(wait=10)
    assert item.attempt == 1 and item.payload == b"kept", item
    assert ack(item.lease_id) == (1, [])


def compressed():
    metadata = [("authorization", "Bearer " + TOKEN)]
    answer = STUB.Dequeue(wish(), metadata=metadata, timeout=20, compression=grpc.Compression.Gzip)
    assert list(answer.items) == []


def reached():
    assert take(wait=0) == []


ALL = [dequeue_and_ack, nack_and_dead, extend, batch_and_conflict, long_poll, wrong_token, cancelled_call, compressed]
for check in [reached] if FILES else ALL:
    check()
    print("ok", check.__name__, flush=True)
