//! The OpenRPC document (spec.open-rpc.org, version 1.3).

use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::access::Access;
use crate::errors::ERRORS;
use crate::method::{METHODS, MethodInfo};
use crate::rpc::ErrorObject;

const DEFINITIONS: &str = "#/components/schemas/";

/// A generator whose definitions live where OpenRPC wants them.
pub(super) fn generator() -> SchemaGenerator {
    let settings = SchemaSettings::draft07().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    SchemaGenerator::new(settings)
}

/// The OpenRPC document as JSON with a newline at the end.
#[must_use]
pub fn openrpc_document() -> String {
    let mut generator = generator();
    let methods: Vec<(&MethodInfo, Value, Value)> = METHODS
        .iter()
        .map(|method| {
            let params = (method.params)(&mut generator).to_value();
            (method, params, (method.result)(&mut generator).to_value())
        })
        .collect();
    let error = generator.subschema_for::<ErrorObject>().to_value();
    generator.subschema_for::<crate::subscribe::StateFrame>();
    generator.subschema_for::<crate::subscribe::Subscribe>();
    generator.subschema_for::<crate::logs::LogFrame>();
    let schemas = generator.take_definitions(true);
    let methods: Vec<Value> = methods
        .iter()
        .map(|(method, params, result)| entry(method, params, result, &schemas))
        .collect();
    let document = json!({
        "openrpc": "1.3.2",
        "info": {
            "title": "Archipelago",
            "version": "1",
            "description": "JSON-RPC 2.0 at /rpc/v1, over HTTPS and the unix socket.",
        },
        "methods": methods,
        "components": { "schemas": schemas },
        "x-error": error,
        "x-error-codes": ERRORS
            .iter()
            .map(|e| json!({"code": e.code, "meaning": e.meaning, "hint": e.hint}))
            .collect::<Vec<_>>(),
    });
    let mut text = serde_json::to_string_pretty(&document).unwrap_or_default();
    text.push('\n');
    text
}

/// Resolves a reference to a definition.
pub(super) fn resolve<'a>(schema: &'a Value, schemas: &'a Map<String, Value>) -> &'a Value {
    schema
        .get("$ref")
        .and_then(Value::as_str)
        .and_then(|reference| schemas.get(reference.strip_prefix(DEFINITIONS)?))
        .unwrap_or(schema)
}

fn entry(
    method: &MethodInfo,
    params: &Value,
    result: &Value,
    schemas: &Map<String, Value>,
) -> Value {
    json!({
        "name": method.name,
        "summary": method.summary,
        "paramStructure": "by-name",
        "params": descriptors(resolve(params, schemas)),
        "result": { "name": "result", "required": true, "schema": result },
        "x-access": access(&method.access),
    })
}

fn descriptors(params: &Value) -> Vec<Value> {
    let required: Vec<&str> = params
        .get("required")
        .and_then(Value::as_array)
        .map(|list| list.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    let Some(properties) = params.get("properties").and_then(Value::as_object) else {
        return Vec::new();
    };
    let mut list: Vec<Value> = properties
        .iter()
        .map(|(name, schema)| {
            json!({"name": name, "required": required.contains(&name.as_str()), "schema": schema})
        })
        .collect();
    // OpenRPC: optional ones come after required ones
    list.sort_by_key(|descriptor| descriptor["required"] != Value::Bool(true));
    list
}

fn access(access: &Access) -> Value {
    json!({
        "session": !access.public,
        "role": if access.public { Value::Null } else { json!(access.role) },
        "csrf": access.csrf,
        "origin": format!("{:?}", access.origin).to_lowercase(),
        "rate": access.rate.map(|rate| json!({"count": rate.count, "seconds": rate.seconds})),
    })
}
