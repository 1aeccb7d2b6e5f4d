//! The admin listener of a role: figures for Prometheus and probes. Read only; nothing that names hosts, paths or accounts.
//!
//! Plain HTTP/1.1, with a bound on connections and on the time for a request head. Whoever reaches it may read it.

use crate::listener::{Answer, HttpListener, text};
use crate::slot::EdgeSlot;
use http::{Method, StatusCode};
use metrics_exporter_prometheus::PrometheusHandle;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// What the listener shows of a role.
pub(crate) struct Admin {
    /// Its figures.
    pub(crate) metrics: PrometheusHandle,
    /// Why it should get no traffic now; empty when it should.
    pub(crate) not_ready: Box<dyn Fn() -> Vec<&'static str> + Send + Sync>,
    /// What is wrong with it although it serves. It gets traffic all the same: others may be no better, and it answers rightly.
    pub(crate) degraded: Box<dyn Fn() -> Vec<&'static str> + Send + Sync>,
}

/// Serves `admin` on every listener until `stop` is cancelled.
pub(crate) async fn serve(listeners: Vec<HttpListener>, admin: Admin, stop: CancellationToken) {
    let admin = Arc::new(admin);
    let mut tasks = tokio::task::JoinSet::new();
    for listener in listeners {
        let admin = Arc::clone(&admin);
        tasks.spawn(listener.serve(move |method, path| admin.answer(method, path), stop.clone()));
    }
    while tasks.join_next().await.is_some() {}
}

impl Admin {
    /// Shows an edge, whatever it does now.
    pub(crate) fn of_edge(metrics: PrometheusHandle, slot: &EdgeSlot) -> Self {
        let (probed, asked) = (slot.clone(), slot.clone());
        Self {
            metrics,
            not_ready: Box::new(move || probed.not_ready()),
            degraded: Box::new(move || asked.degraded()),
        }
    }

    fn answer(&self, method: &Method, path: &str) -> Answer {
        let answer = match path {
            "/metrics" => Answer {
                // The version of the text format that the exporter writes.
                content_type: "text/plain; version=0.0.4; charset=utf-8",
                ..text(StatusCode::OK, self.metrics.render())
            },
            "/livez" => text(StatusCode::OK, "alive\n"),
            "/readyz" => self.readiness(),
            _ => return text(StatusCode::NOT_FOUND, "there are /metrics, /livez and /readyz\n"),
        };
        if matches!(*method, Method::GET | Method::HEAD) {
            answer
        } else {
            // RFC 9110 §15.5.6
            Answer { allow: Some("GET, HEAD"), ..text(StatusCode::METHOD_NOT_ALLOWED, "read only\n") }
        }
    }

    fn readiness(&self) -> Answer {
        let reasons = (self.not_ready)();
        if reasons.is_empty() {
            let faults = (self.degraded)().into_iter().map(|fault| format!("degraded: {fault}\n"));
            return text(StatusCode::OK, format!("ready\n{}", faults.collect::<String>()));
        }
        text(StatusCode::SERVICE_UNAVAILABLE, format!("{}\n", reasons.join("\n")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admin(reasons: &'static [&'static str]) -> Admin {
        let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
        let degraded = Box::new(|| vec!["no disk"]);
        Admin { metrics: recorder.handle(), not_ready: Box::new(|| reasons.to_vec()), degraded }
    }

    #[test]
    fn readyz_names_every_reason_on_a_line() {
        let answer = admin(&["draining", "nothing heard"]).answer(&Method::GET, "/readyz");
        assert_eq!(
            (answer.status, &answer.body[..]),
            (StatusCode::SERVICE_UNAVAILABLE, &b"draining\nnothing heard\n"[..])
        );
    }

    #[test]
    fn a_degraded_role_is_ready_and_says_what_is_wrong() {
        let answer = admin(&[]).answer(&Method::GET, "/readyz");
        assert_eq!((answer.status, &answer.body[..]), (StatusCode::OK, &b"ready\ndegraded: no disk\n"[..]));
    }

    #[test]
    fn nothing_can_be_changed_and_nothing_else_is_there() {
        let admin = admin(&[]);
        assert_eq!(admin.answer(&Method::POST, "/metrics").status, StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(admin.answer(&Method::GET, "/").status, StatusCode::NOT_FOUND);
        assert_eq!(admin.answer(&Method::HEAD, "/livez").status, StatusCode::OK);
    }
}
