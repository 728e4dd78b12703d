"""A pull worker in Python, standard library only: worker.py INGRESS PULL TOKEN (both HOST:PORT).

Sends its own messages, works them off in every way the pull API knows, and prints `ok NAME` for each.
"""

import base64
import http.client
import json
import sys
import threading
import time

INGRESS, PULL, TOKEN = sys.argv[1:4]


def call(address, path, body, headers=()):
    connection = http.client.HTTPConnection(address, timeout=10)
    try:
        connection.request("POST", path, body, dict(headers))
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def send(text):
    status, _ = call(INGRESS, "/a", text.encode(), {"Content-Type": "text/plain"})
    assert status == 202, status


def pull(operation, **members):
    headers = {"Authorization": "Bearer " + TOKEN, "Content-Type": "application/json"}
    status, body = call(PULL, "/a/" + operation, json.dumps(members), headers)
    return status, json.loads(body) if body else None


def dequeue(**members):
    status, document = pull("dequeue", **members)
    assert status == 200, (status, document)
    return document["items"]


def payload(item):
    return base64.b64decode(item["payload_b64"]).decode()


def long_poll():
    timer = threading.Timer(0.3, send, ["later"])
    timer.start()
    began = time.monotonic()
    (item,) = dequeue(max_wait="5s")
    assert payload(item) == "later" and 0.2 < time.monotonic() - began < 3, item
    timer.join()
    assert pull("ack", lease_id=item["lease_id"]) == (204, None)
    assert dequeue() == []


def nack_with_delay():
    send("again")
    (item,) = dequeue()
    assert pull("nack", lease_id=item["lease_id"], delay="600ms")[0] == 204
    assert dequeue() == []
    began = time.monotonic()
    (item,) = dequeue(max_wait="5s")
    assert payload(item) == "again" and item["attempt"] == 2, item
    assert time.monotonic() - began < 3
    assert pull("ack", lease_id=item["lease_id"])[0] == 204


def extend():
    send("slow")
    (item,) = dequeue(lease_ttl="400ms")
    assert pull("extend", lease_id=item["lease_id"], extend_by="30s")[0] == 204
    time.sleep(0.7)
    assert dequeue() == []
    assert pull("ack", lease_id=item["lease_id"])[0] == 204


def batch_ack():
    for i in range(5):
        send(f"m{i}")
    items = dequeue(batch=10)
    assert [payload(item) for item in items] == ["m0", "m1", "m2", "m3", "m4"], items
    status, document = pull("ack", lease_ids=[item["lease_id"] for item in items])
    assert status == 200 and document["acked"] == 5, (status, document)


def unicode_body():
    send("Grüße, 世界 🪝")
    (item,) = dequeue()
    assert payload(item) == "Grüße, 世界 🪝", item
    assert item["headers"]["Content-Type"] == "text/plain", item
    assert pull("ack", lease_id=item["lease_id"])[0] == 204


def lost_lease():
    status, document = pull("ack", lease_id="lease_nope")
    assert status == 409 and document["code"], (status, document)


def wrong_token():
    status, _ = call(PULL, "/a/dequeue", "{}", {"Authorization": "Bearer wrong"})
    assert status == 401, status


def stream():
    connection = http.client.HTTPConnection(PULL, timeout=10)
    connection.request("GET", "/a/stream", headers={"Authorization": "Bearer " + TOKEN, "Accept": "text/event-stream"})
    answer = connection.getresponse()
    assert answer.status == 200 and answer.headers["Content-Type"].startswith("text/event-stream"), answer.status
    for text in ["first", "second"]:
        send(text)
        event = {}
        while True:
            line = answer.readline().decode().rstrip("\r\n")
            if not line and "data" in event:
                break
            name, _, value = line.partition(":")
            if name:
                event[name] = value.strip()
        item = json.loads(event["data"])
        assert payload(item) == text and event["event"] == "message" and event["id"] == item["lease_id"], event
        assert pull("ack", lease_id=item["lease_id"])[0] == 204
    answer.close()
    connection.close()


for check in [long_poll, nack_with_delay, extend, batch_ack, unicode_body, lost_lease, wrong_token, stream]:
    check()
    print("ok", check.__name__, flush=True)
