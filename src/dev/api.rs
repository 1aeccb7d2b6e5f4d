//! The address of the REST API. The API is not there yet: every request is answered as an unknown resource, in the API's own form.

use crate::listener::{Answer, HttpListener, text};
use http::{Method, StatusCode};
use serde_json::json;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Answers until `stop` is cancelled.
pub(super) async fn serve(listeners: Vec<HttpListener>, stop: CancellationToken) {
    let mut tasks = JoinSet::new();
    for listener in listeners {
        tasks.spawn(listener.serve(answer, stop.clone()));
    }
    while tasks.join_next().await.is_some() {}
}

fn answer(_method: &Method, path: &str) -> Answer {
    if path == "/healthz" {
        return text(StatusCode::OK, "ok\n");
    }
    let body = json!({
        "code": 20404,
        "message": format!("The requested resource {path} was not found"),
        "more_info": "https://www.twilio.com/docs/errors/20404",
        "status": 404,
    });
    Answer { content_type: "application/json", ..text(StatusCode::NOT_FOUND, body.to_string()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_answered_in_the_form_of_the_api() {
        let answer = answer(&Method::GET, "/v1/Services");
        let body: serde_json::Value = serde_json::from_slice(&answer.body).expect("JSON");
        assert_eq!(
            (answer.status, &body["code"], &body["status"]),
            (StatusCode::NOT_FOUND, &json!(20404), &json!(404))
        );
    }
}
