//! Changes of endpoints: the order of the checks, the rules, the answers. Who owns the file is stood in for.

use hookaido_model::config::RoutePublish;
use serde_json::{Value, json};

use crate::support::{WHY, World, managed, pushed, route, text};

async fn world() -> World {
    let mut closed = route("/closed");
    closed.publish = RoutePublish { enabled: true, direct: true, managed: false };
    let mut off = pushed("/off", &["https://h/1"]);
    off.publish = RoutePublish { enabled: false, direct: true, managed: true };
    let routes =
        vec![route("/a"), managed("/m", "shop", "paid"), pushed("/p", &["https://h/1", "https://h/2"]), closed, off];
    World::new(routes).await
}

async fn put(world: &World, endpoint: &str, body: &str) -> (u16, Value) {
    world.call("PUT", &format!("/applications/shop/endpoints/{endpoint}"), &[WHY], body).await
}

#[tokio::test]
async fn an_endpoint_is_created_moved_left_alone_and_deleted() {
    let world = world().await;
    let (status, answer) = put(&world, "new", r#"{"route":" /p "}"#).await;
    let want = json!({
        "applied": true,
        "action": "created",
        "endpoint": {
            "application": "shop", "endpoint_name": "new", "route": "/p", "mode": "deliver",
            "targets": ["https://h/1", "https://h/2"],
            "publish_policy": { "enabled": true, "direct_enabled": true, "managed_enabled": true },
        },
        "scope": { "application": "shop", "endpoint_name": "new", "route": "/p" },
        "audit": { "reason": "test" },
    });
    assert_eq!((status, answer), (200, want));
    let (_, moved) = put(&world, "paid", r#"{"route":"/a"}"#).await;
    assert_eq!((&moved["action"], &moved["applied"]), (&json!("updated"), &json!(true)));
    assert_eq!(moved["endpoint"]["targets"], json!(["pull"]));
    let (_, same) = put(&world, "paid", r#"{"route":"/m"}"#).await;
    assert_eq!((&same["action"], &same["applied"]), (&json!("noop"), &json!(false)));
    let (status, gone) = world.call("DELETE", "/applications/shop/endpoints/paid", &[WHY], "{not read").await;
    assert_eq!((status, &gone["action"], &gone["scope"]["route"]), (200, &json!("deleted"), &json!("/m")));
    assert_eq!((&gone["endpoint"]["mode"], &gone["endpoint"]["targets"]), (&json!(""), &Value::Null));
    let asked: Vec<_> = world.endpoints.asked.lock().unwrap().iter().map(|change| change.route.clone()).collect();
    assert_eq!(asked, [Some("/p".to_owned()), Some("/a".to_owned()), Some("/m".to_owned()), None]);
}

#[tokio::test]
async fn what_the_rules_forbid() {
    let world = world().await;
    for (endpoint, route, status, code) in [
        ("new", "/none", 404, "management_route_not_found"),
        ("new", "/a/", 404, "management_route_not_found"),
        ("new", "/m", 409, "management_route_already_mapped"),
        ("new", "/closed", 409, "management_route_publish_disabled"),
        ("new", "/off", 409, "management_route_publish_disabled"),
        ("paid", "/off", 409, "management_route_publish_disabled"),
        ("paid", "/p", 409, "management_route_target_mismatch"),
    ] {
        let (found, answer) = put(&world, endpoint, &json!({ "route": route }).to_string()).await;
        assert_eq!((found, text(&answer["code"])), (status, code), "{endpoint} on {route}");
    }
    let (status, answer) = world.call("DELETE", "/applications/shop/endpoints/none", &[WHY], "").await;
    assert_eq!((status, text(&answer["code"])), (404, "management_endpoint_not_found"));
    assert!(world.endpoints.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn labels_come_first_then_the_body_then_the_reason() {
    let world = world().await;
    for body in ["", "{", "null", "[]", "{}", r#"{"route":null}"#, r#"{"route":" "}"#, r#"{"route":"a"}"#] {
        let (status, answer) = world.call("PUT", "/applications/shop/endpoints/new", &[], body).await;
        assert_eq!((status, text(&answer["code"])), (400, "invalid_body"), "{body}");
    }
    for (method, path, status, code) in [
        ("PUT", "/applications/-x/endpoints/y", 400, "invalid_body"),
        ("PUT", "/applications/x/endpoints/a%20b", 400, "invalid_body"),
        ("PUT", "/applications/x/endpoints/y", 400, "audit_reason_required"),
        ("DELETE", "/applications/x/endpoints/y", 400, "audit_reason_required"),
        ("POST", "/applications/x/endpoints/y", 405, "method_not_allowed"),
        ("PUT", "/applications/x/endpoints", 405, "method_not_allowed"),
        ("DELETE", "/applications/x", 404, "not_found"),
    ] {
        let (found, answer) = world.call(method, path, &[], r#"{"route":"/a"}"#).await;
        assert_eq!((found, text(&answer["code"])), (status, code), "{method} {path}");
    }
    assert!(world.endpoints.asked.lock().unwrap().is_empty());
}
