//! The OpenAPI 3.1 document: made of the routes as they are registered, so that it cannot say anything else than they do.

use super::describe::Operation;
use super::refusal::Body;
use super::routes::Route;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

const INTRODUCTION: &str = "Twilio's Serverless API, version 1, as an origin of Skerry answers it, and what Skerry has beyond it. \
    Lists go newest first; follow `meta.next_page_url` until it is null. What belongs to another account is answered like what does \
    not exist: 404.";

/// What the names in paths are.
const PATH_PARAMETERS: [(&str, &str); 11] = [
    ("service", "SID (ZS…) or unique name of a service"),
    ("environment", "SID (ZE…) of an environment"),
    ("domain", "SID (DN…) or name of a domain"),
    ("build", "SID (ZB…) of a build"),
    ("deployment", "SID (ZD…) of a deployment"),
    ("variable", "SID (ZV…) of a variable"),
    ("content", "SID (ZH…) of an asset or a function"),
    ("version", "SID (ZN…) of a version"),
    ("log", "SID of a log"),
    ("key", "SID (SK…) of an API key"),
    ("account", "SID (AC…) of an account"),
];

/// The document of routes below `/v1`.
pub(super) fn document(routes: &[Route]) -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    settings.definitions_path = "/components/schemas".into();
    settings.meta_schema = None;
    let mut schemas = settings.for_serialize().into_generator();
    let refusal = schemas.subschema_for::<Body>().to_value();
    let mut paths: Map<String, Value> = Map::new();
    for route in routes {
        let mut operation = Operation::default();
        (route.describe)(&mut operation, &mut schemas);
        let path = format!("/v1{}", route.path);
        let shown = show(route, operation, &refusal);
        let methods = paths.entry(path).or_insert_with(|| json!({}));
        methods[route.method] = shown;
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Skerry",
            "version": env!("CARGO_PKG_VERSION"),
            "description": INTRODUCTION,
            "license": { "name": env!("CARGO_PKG_LICENSE") },
        },
        "servers": [{ "url": "/" }],
        "security": [{ "basic": [] }],
        "paths": paths,
        "components": {
            "schemas": schemas.take_definitions(false),
            "securitySchemes": {
                "basic": {
                    "type": "http",
                    "scheme": "basic",
                    "description": "SID of an account and one of its auth tokens, or SID and secret of an API key",
                },
            },
        },
    })
}

fn show(route: &Route, operation: Operation, refusal: &Value) -> Value {
    let mut parameters: Vec<Value> = names(&route.path).map(path_parameter).collect();
    parameters.extend(operation.parameters);
    let content = |(media_type, schema): (&str, Value)| json!({ media_type: { "schema": schema } });
    let mut answer = json!({ "description": route.summary });
    if let Some(body) = operation.answer {
        answer["content"] = content(body);
    }
    let mut shown = json!({
        "operationId": id(route),
        "summary": route.summary,
        "tags": [tag(&route.path)],
        "parameters": parameters,
        "responses": {
            operation.status.to_string(): answer,
            "default": {
                "description": "What is wrong with the request, or why it cannot be answered now",
                "content": content(("application/json", refusal.clone())),
            },
        },
    });
    if let Some(body) = operation.body {
        // A form without fields that must be there need not be sent.
        let is_required = body.1.get("required").is_some();
        shown["requestBody"] = json!({ "required": is_required, "content": content(body) });
    }
    shown
}

fn path_parameter(name: &str) -> Value {
    let description = PATH_PARAMETERS.iter().find(|(known, _)| *known == name);
    json!({
        "name": name,
        "in": "path",
        "required": true,
        "description": description.map_or("SID", |(_, description)| description),
        "schema": { "type": "string", "minLength": 1 },
    })
}

/// The names in a path.
fn names(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

/// The resource at the end of a path, for those who group by it.
fn tag(path: &str) -> &str {
    path.split('/').rfind(|part| !part.starts_with('{')).unwrap_or_default()
}

/// A name that no other operation has: method and path without what varies.
fn id(route: &Route) -> String {
    let parts = route.path.split('/').map(|part| match part.strip_prefix('{') {
        Some(name) => format!("_by_{}", name.trim_end_matches('}')),
        None => part.to_lowercase(),
    });
    let parts: Vec<String> = parts.filter(|part| !part.is_empty()).collect();
    format!("{}_{}", route.method, parts.join("_").replace("__", "_"))
}

#[cfg(test)]
mod tests {
    use super::super::routes;
    use super::*;
    use std::collections::HashSet;

    fn shown() -> Value {
        document(&routes().into_parts().1)
    }

    #[test]
    fn every_route_says_what_it_answers_under_a_name_of_its_own() {
        let document = shown();
        let mut ids = HashSet::new();
        for (path, methods) in document["paths"].as_object().expect("an object") {
            for (method, operation) in methods.as_object().expect("an object") {
                let id = operation["operationId"].as_str().expect("a text");
                assert!(ids.insert(id.to_owned()), "{id} twice");
                let responses = operation["responses"].as_object().expect("an object");
                assert!(responses.keys().any(|status| status.starts_with('2')), "{method} {path}");
                assert!(responses.contains_key("default"), "{method} {path}");
            }
        }
        assert!(ids.contains("get_services_by_service"), "{ids:?}");
    }

    #[test]
    fn every_name_in_a_path_is_explained() {
        for route in routes().into_parts().1 {
            for name in names(&route.path) {
                assert!(PATH_PARAMETERS.iter().any(|(known, _)| *known == name), "{name}");
            }
        }
    }

    #[test]
    fn every_schema_that_is_referred_to_is_there() {
        let document = shown();
        let text = document.to_string();
        let references = text.split("\"$ref\":\"#").skip(1).filter_map(|rest| rest.split('"').next());
        let mut count = 0;
        for reference in references {
            assert!(document.pointer(reference).is_some(), "{reference}");
            count += 1;
        }
        assert!(count > 10, "{count}");
    }
}
