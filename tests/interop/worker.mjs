// A pull worker in JavaScript, nothing but Node: worker.mjs INGRESS PULL TOKEN (both HOST:PORT).
// Sends its own messages, works them off with fetch, and prints `ok NAME` for each way to do so.

import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";

const [ingress, api, token] = process.argv.slice(2);
const limit = () => AbortSignal.timeout(10_000);

async function send(body) {
  const answer = await fetch(`http://${ingress}/b`, { method: "POST", body, signal: limit() });
  assert.equal(answer.status, 202);
  await answer.arrayBuffer();
}

async function pull(operation, members) {
  const answer = await fetch(`http://${api}/b/${operation}`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: JSON.stringify(members),
    signal: limit(),
  });
  const text = await answer.text();
  return { status: answer.status, document: text ? JSON.parse(text) : null };
}

async function dequeue(members = {}) {
  const { status, document } = await pull("dequeue", members);
  assert.equal(status, 200);
  return document.items;
}

const payload = (item) => Buffer.from(item.payload_b64, "base64").toString();

const checks = {
  async long_poll() {
    const waiting = dequeue({ max_wait: "5s" });
    await sleep(200);
    await send("later");
    const [item] = await waiting;
    assert.equal(payload(item), "later");
    assert.equal((await pull("ack", { lease_id: item.lease_id })).status, 204);
  },

  async nack_with_delay() {
    await send("again");
    const [item] = await dequeue();
    assert.equal((await pull("nack", { lease_id: item.lease_id, delay: "500ms" })).status, 204);
    assert.deepEqual(await dequeue(), []);
    const [second] = await dequeue({ max_wait: "5s" });
    assert.equal(second.attempt, 2);
    assert.equal((await pull("ack", { lease_id: second.lease_id })).status, 204);
  },

  async extend() {
    await send("slow");
    const [item] = await dequeue({ lease_ttl: "400ms" });
    assert.equal((await pull("extend", { lease_id: item.lease_id, extend_by: "30s" })).status, 204);
    await sleep(700);
    assert.deepEqual(await dequeue(), []);
    assert.equal((await pull("ack", { lease_id: item.lease_id })).status, 204);
  },

  async batch_ack() {
    await Promise.all(["x", "y", "z"].map(send));
    const items = await dequeue({ batch: 10 });
    assert.deepEqual(items.map(payload).sort(), ["x", "y", "z"]);
    const { status, document } = await pull("ack", { lease_ids: items.map((item) => item.lease_id) });
    assert.equal(status, 200);
    assert.equal(document.acked, 3);
  },

  async stream() {
    const stop = new AbortController();
    const answer = await fetch(`http://${api}/b/stream`, {
      headers: { authorization: `Bearer ${token}` },
      signal: AbortSignal.any([stop.signal, limit()]),
    });
    assert.equal(answer.status, 200);
    await send("streamed");
    let text = "";
    for await (const chunk of answer.body.pipeThrough(new TextDecoderStream())) {
      text += chunk;
      const data = /^data: ?(.*)\n(?:.+\n)*\n/m.exec(text);
      if (!data) continue;
      const item = JSON.parse(data[1]);
      assert.equal(payload(item), "streamed");
      assert.equal((await pull("ack", { lease_id: item.lease_id })).status, 204);
      break;
    }
    stop.abort();
  },
};

for (const [name, check] of Object.entries(checks)) {
  await check();
  console.log("ok", name);
}
