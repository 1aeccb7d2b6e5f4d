//! `/Services/{ZS}/Assets` and `/Services/{ZS}/Functions`: two kinds of one shape.

use super::Api;
use super::answer::{Created, Deleted};
use super::call::Call;
use super::date::Date;
use super::form::{Field, Fields, Form, Shape};
use super::of::{Named, Names, Of};
use super::page::{Entry, Listed, Listing};
use super::refusal::Refusal;
use super::routes::Routes;
use crate::catalogue::{Content as Row, Kind, ServiceDetails};
use axum::Json;
use axum::extract::State;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Serialize, Serializer};
use std::borrow::Cow;
use std::marker::PhantomData;

pub(super) fn routes() -> Routes {
    of_kind::<Assets>().merge(of_kind::<Functions>())
}

/// A kind that routes are made for.
pub(super) trait OfKind: Send + Sync + 'static {
    const KIND: Kind;
    /// Names of lists.
    const KEY: &'static str;
    const VERSIONS_KEY: &'static str;
}

/// Routes of assets.
pub(super) struct Assets;

/// Routes of functions.
pub(super) struct Functions;

impl OfKind for Assets {
    const KIND: Kind = Kind::Asset;
    const KEY: &'static str = "assets";
    const VERSIONS_KEY: &'static str = "asset_versions";
}

impl OfKind for Functions {
    const KIND: Kind = Kind::Function;
    const KEY: &'static str = "functions";
    const VERSIONS_KEY: &'static str = "function_versions";
}

/// What one of a kind is called.
pub(super) fn noun(kind: Kind) -> &'static str {
    match kind {
        Kind::Asset => "Asset",
        Kind::Function => "Function",
    }
}

fn of_kind<K: OfKind>() -> Routes {
    let noun = noun(K::KIND);
    let one = noun.to_lowercase();
    let contents = &format!("/Services/{{service}}/{noun}s");
    let content = &format!("{contents}/{{content}}");
    Routes::new()
        .get(contents, list::<K>, &format!("The {one}s of a service"))
        .post(contents, create::<K>, &format!("Makes an {one}; one of this name that is there is the answer"))
        .get(content, fetch::<K>, &format!("One {one}"))
        .post(content, update::<K>, &format!("Names an {one} anew"))
        .delete(
            content,
            delete::<K>,
            &format!("Deletes an {one}; its versions stay in builds that have them"),
        )
}

/// An asset or a function.
#[derive(Serialize, JsonSchema)]
pub(super) struct Content {
    sid: String,
    account_sid: String,
    service_sid: String,
    friendly_name: String,
    date_created: Date,
    date_updated: Date,
    url: String,
    links: Links,
}

/// An entry of a list of a kind, which says how the list is called.
pub(super) struct Each<K, T>(T, PhantomData<K>);

impl<K, T> Each<K, T> {
    pub(super) const fn new(shown: T) -> Self {
        Self(shown, PhantomData)
    }
}

impl<K, T: Serialize> Serialize for Each<K, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<K, T: JsonSchema> JsonSchema for Each<K, T> {
    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(schemas: &mut SchemaGenerator) -> Schema {
        schemas.subschema_for::<T>()
    }
}

impl<K: OfKind> Entry for Each<K, Content> {
    const KEY: &'static str = K::KEY;
}

#[derive(Serialize, JsonSchema)]
#[schemars(inline)]
struct Links {
    #[serde(skip_serializing_if = "Option::is_none")]
    asset_versions: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    function_versions: Option<String>,
}

const FRIENDLY_NAME: Field =
    Field::required("FriendlyName", Shape::Text(1, 255), "Unique among those that are not deleted");

struct Name;

impl Fields for Name {
    const FIELDS: &'static [Field] = &[FRIENDLY_NAME];
}

/// An asset or a function, with its service.
pub(super) struct InContent<K> {
    pub(super) service: ServiceDetails,
    pub(super) content: Row,
    kind: PhantomData<K>,
}

impl<K: OfKind> Named for InContent<K> {
    async fn find(api: &Api, call: &Call, names: &Names) -> Result<Self, Refusal> {
        let service = ServiceDetails::find(api, call, names).await?;
        let content = api.catalogue.content(K::KIND, &service.sid, names.of("content")).await?;
        let content = content.ok_or_else(|| Refusal::unknown(noun(K::KIND)))?;
        Ok(Self { service, content, kind: PhantomData })
    }
}

fn show<K: OfKind>(call: &Call, service: &ServiceDetails, row: Row) -> Content {
    let url = call.url(format_args!("/Services/{}/{}s/{}", service.sid, noun(K::KIND), row.sid));
    let versions = Some(format!("{url}/Versions"));
    Content {
        url,
        links: match K::KIND {
            Kind::Asset => Links { asset_versions: versions, function_versions: None },
            Kind::Function => Links { asset_versions: None, function_versions: versions },
        },
        account_sid: call.account().to_string(),
        service_sid: service.sid.to_string(),
        friendly_name: row.friendly_name,
        date_created: Date(row.created_at),
        date_updated: Date(row.updated_at),
        sid: row.sid.into(),
    }
}

async fn list<K: OfKind>(
    State(api): State<Api>,
    call: Call,
    Of(service): Of<ServiceDetails>,
    listing: Listing,
) -> Result<Listed<Each<K, Content>>, Refusal> {
    let page = api.catalogue.list_contents(K::KIND, &service.sid, &listing.wanted()).await?;
    Ok(listing.answer(&call, page, |row| Each::new(show::<K>(&call, &service, row))))
}

async fn create<K: OfKind>(
    State(api): State<Api>,
    call: Call,
    Of(service): Of<ServiceDetails>,
    form: Form<Name>,
) -> Result<Created<Content>, Refusal> {
    let name = form.required(FRIENDLY_NAME)?;
    let row = api.publisher.create_content(&call.actor, K::KIND, &service.sid, name).await?;
    Ok(Created(show::<K>(&call, &service, row)))
}

async fn fetch<K: OfKind>(call: Call, Of(place): Of<InContent<K>>) -> Result<Json<Content>, Refusal> {
    Ok(Json(show::<K>(&call, &place.service, place.content)))
}

async fn update<K: OfKind>(
    State(api): State<Api>,
    call: Call,
    Of(place): Of<InContent<K>>,
    form: Form<Name>,
) -> Result<Json<Content>, Refusal> {
    let name = form.required(FRIENDLY_NAME)?;
    let row = api.publisher.rename_content(&call.actor, K::KIND, &place.content, name).await?;
    Ok(Json(show::<K>(&call, &place.service, row)))
}

async fn delete<K: OfKind>(
    State(api): State<Api>,
    call: Call,
    Of(place): Of<InContent<K>>,
) -> Result<Deleted, Refusal> {
    api.publisher.delete_content(&call.actor, K::KIND, &place.content).await?;
    Ok(Deleted)
}
