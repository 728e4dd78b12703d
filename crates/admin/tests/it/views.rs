//! Details of health, backlog, trends, applications.

use std::time::Duration;

use hookaido_model::Clock as _;
use serde_json::{Value, json};

use crate::support::*;

async fn sample(world: &World) {
    world.state.sample(&world.queue.stats().await.unwrap(), world.clock.now());
}

#[tokio::test]
async fn details_describe_configuration_and_queue() {
    let world = World::new(vec![route("/a")]).await;
    world.publish("/a", &["a1", "a2"]).await;
    world.bury("/a", "r").await;
    sample(&world).await;
    let (status, body) = world.get("/healthz?details=yes").await;
    assert_eq!((status, &body["ok"]), (200, &true.into()));
    let diagnostics = &body["diagnostics"];
    let config = json!({ "fingerprint": "f00d", "generation": 3, "loaded_at": "2023-11-14T22:13:20Z" });
    assert_eq!(diagnostics["config"], config);
    let queue = &diagnostics["queue"];
    assert_eq!(queue["by_state"], json!({ "queued": 1, "leased": 0, "delivered": 0, "dead": 1, "canceled": 0 }));
    assert_eq!((&queue["total"], &queue["oldest_queued_age_seconds"]), (&2.into(), &3599.into()));
    assert_eq!(queue["top_queued"][0]["route"], "/a");
    assert_eq!(queue["trend_signals"]["latest_total"], 2);
    assert_eq!(diagnostics["publish"]["accepted_total"], 2);
    assert_eq!(diagnostics["store"]["items_by_state"], json!({ "queued": 1, "leased": 0, "delivered": 0, "dead": 1 }));
    for member in ["ingress", "delivery", "pull", "tracing"] {
        assert!(diagnostics[member].is_object(), "{member}");
    }
    assert_eq!(world.get("/healthz?details=maybe").await.0, 400);
    assert_eq!(world.send("GET", "/healthz?details=0", &[], "").await.body().as_bytes().unwrap(), b"ok\n");
}

#[tokio::test]
async fn leases_held_are_those_the_queue_knows() {
    let world = World::new(vec![route("/a")]).await;
    world.publish("/a", &["a1", "a2"]).await;
    world.lease("/a", 2).await;
    assert_eq!(world.post("/messages/cancel", r#"{"ids":["a1"]}"#).await.0, 200);
    let (_, body) = world.get("/healthz?details=1").await;
    assert_eq!(body["diagnostics"]["pull"]["by_route"]["/a"]["lease_active"], 1);
}

#[tokio::test]
async fn backlog_views_say_what_waits() {
    let world = World::new(vec![route("/a"), route("/b")]).await;
    world.publish("/a", &["a1"]).await;
    world.publish("/b", &["b1", "b2"]).await;
    let (_, top) = world.get("/backlog/top_queued?limit=1").await;
    assert_eq!((&top["queued_total"], &top["truncated"]), (&3.into(), &true.into()));
    assert_eq!((&top["items"][0]["route"], &top["items"][0]["queued"]), (&"/b".into(), &2.into()));
    let (_, oldest) = world.get("/backlog/oldest_queued?route=/b&limit=1").await;
    assert_eq!((ids(&oldest), &oldest["returned"], &oldest["truncated"]), (vec!["b1"], &1.into(), &true.into()));
    assert_eq!(oldest["selector"], json!({ "route": "/b" }));
    assert_eq!(oldest["items"][0]["oldest_queued_age_seconds"], 3600);
    let (_, aging) = world.get("/backlog/aging_summary?states=dead,queued,dead").await;
    assert_eq!((&aging["states"], &aging["bucket_count"]), (&json!(["dead", "queued"]), &2.into()));
    assert_eq!(aging["items"][0]["ready_overdue_count"], 2);
    assert_eq!(aging["age_windows"]["gt_15m_le_1h"], 3);
    let (_, empty) = world.get("/backlog/oldest_queued?target=x").await;
    assert_eq!(empty["items"], json!([]));
    for query in ["top_queued?limit=0", "oldest_queued?route=b", "aging_summary?states=zz", "aging_summary?states=,"] {
        assert_eq!(world.get(&format!("/backlog/{query}")).await.0, 400, "{query}");
    }
}

#[tokio::test]
async fn trends_put_samples_into_buckets() {
    let world = World::new(vec![route("/a"), route("/b")]).await;
    for minute in 0_u8..4 {
        world.publish("/a", &[&format!("a{minute}"), &format!("c{minute}")]).await;
        sample(&world).await;
        world.clock.advance(Duration::from_secs(60));
    }
    let (_, trends) = world.get("/backlog/trends?window=5m&step=2m").await;
    let part = |name: &str| &trends[name];
    assert_eq!((part("point_count"), part("sample_count"), part("max_total")), (&3.into(), &4.into(), &8.into()));
    let counts: Vec<&Value> = trends["items"].as_array().unwrap().iter().map(|item| &item["sample_count"]).collect();
    assert_eq!(counts, [1, 2, 1]);
    let signals = &trends["signals"];
    assert_eq!((&signals["consecutive_increases"], &signals["delta_total"]), (&3.into(), &6.into()));
    assert_eq!(signals["active_alerts"], json!(["sustained_growth", "queued_pressure"]));
    assert_eq!((&signals["growth_rate_per_minute"], &signals["delta_percent"]), (&json!(2.0), &json!(300.0)));
    assert_eq!(signals["operator_actions"].as_array().unwrap().len(), 2);
    let (_, none) = world.get("/backlog/trends?route=/b").await;
    assert_eq!((&none["sample_count"], &none["signals"]["active_alerts"]), (&0.into(), &json!(["sampling_stale"])));
}

#[tokio::test]
async fn trends_refuse_what_is_out_of_range() {
    let world = World::new(vec![route("/a")]).await;
    for query in [
        "window=0",
        "window=169h",
        "window=7d",
        "window=-1h",
        "step=30s",
        "step=61m",
        "step=0",
        "step=1h&window=30m",
        "window=168h&step=1m",
        "window=30s&step=1m",
        "until=x",
        "until=2026-01-01",
        "route=a",
    ] {
        let (status, answer) = world.get(&format!("/backlog/trends?{query}")).await;
        assert_eq!((status, text(&answer["code"])), (400, "invalid_query"), "{query}");
    }
    for (query, window, points) in [
        ("window=168h&step=1h", "168h0m0s", 168),
        ("window=90s&step=1m", "1m30s", 2),
        ("window=16h40m&step=1m", "16h40m0s", 1000),
        ("until=2023-11-14T00:00:00Z", "1h0m0s", 12),
    ] {
        let (status, answer) = world.get(&format!("/backlog/trends?{query}")).await;
        assert_eq!((status, text(&answer["window"]), &answer["point_count"]), (200, window, &points.into()), "{query}");
    }
}

#[tokio::test]
async fn applications_show_their_endpoints() {
    let world =
        World::new(vec![managed("/m", "shop", "paid"), managed("/n", "shop", "new"), pushed("/p", &["http://x/"])])
            .await;
    let (_, applications) = world.get("/applications").await;
    let items = json!([{ "name": "shop", "endpoint_count": 2 }]);
    assert_eq!(applications, json!({ "application_count": 1, "endpoint_count": 2, "items": items }));
    let (_, endpoints) = world.get("/applications/shop/endpoints").await;
    assert_eq!((&endpoints["endpoint_count"], &endpoints["items"][0]["name"]), (&2.into(), &"new".into()));
    let (_, endpoint) = world.get("/applications/shop/endpoints/paid").await;
    let policy = json!({ "enabled": true, "direct_enabled": true, "managed_enabled": true });
    let want = json!({ "application": "shop", "endpoint_name": "paid", "route": "/m", "mode": "pull", "targets": ["pull"],
        "publish_policy": policy });
    assert_eq!(endpoint, want);
    let (_, model) = world.get("/management/model").await;
    assert_eq!((&model["route_count"], &model["applications"][0]["endpoints"][1]["route"]), (&3.into(), &"/m".into()));
    assert_eq!(world.get("/applications/zz/endpoints").await.0, 404);
    assert_eq!(text(&world.get("/applications/shop/endpoints/zz").await.1["code"]), "management_endpoint_not_found");
}
