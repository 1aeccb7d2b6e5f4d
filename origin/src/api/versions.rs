//! `…/Assets/{ZH}/Versions` and `…/Functions/{ZH}/Versions`, and the content of a function, which its owner may read.

use super::Api;
use super::answer::Created;
use super::call::Call;
use super::contents::{Assets, Each, Functions, InContent, OfKind, noun};
use super::date::Date;
use super::of::{Named, Names, Of};
use super::page::{Entry, Listed, Listing};
use super::refusal::Refusal;
use super::routes::Routes;
use super::upload;
use crate::catalogue::{ContentVersion, Kind, ServiceDetails};
use axum::Json;
use axum::extract::State;
use schemars::JsonSchema;
use serde::Serialize;
use skerry_proto::slices::BlobId;

pub(super) fn routes() -> Routes {
    let content = "/Services/{service}/Functions/{content}/Versions/{version}/Content";
    let routes = of_kind::<Assets>().merge(of_kind::<Functions>());
    routes.get(content, fetch_content, "The content of a function's version")
}

fn of_kind<K: OfKind>() -> Routes {
    let noun = noun(K::KIND);
    let one = noun.to_lowercase();
    let versions = &format!("/Services/{{service}}/{noun}s/{{content}}/Versions");
    Routes::new()
        .get(versions, list::<K>, &format!("The versions of an {one}"))
        .post(versions, create::<K>, &format!("Uploads a version of an {one}"))
        .get(&format!("{versions}/{{version}}"), fetch::<K>, &format!("A version of an {one}"))
}

/// A version of an asset or a function.
#[derive(Serialize, JsonSchema)]
pub(super) struct Version {
    sid: String,
    account_sid: String,
    service_sid: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    asset_sid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    function_sid: Option<String>,
    path: String,
    /// `public`, `protected` or `private`.
    visibility: String,
    date_created: Date,
    url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    links: Option<Links>,
}

impl<K: OfKind> Entry for Each<K, Version> {
    const KEY: &'static str = K::VERSIONS_KEY;
}

#[derive(Serialize, JsonSchema)]
#[schemars(inline)]
struct Links {
    function_version_content: String,
}

/// The content of a function.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "FunctionContent")]
struct FunctionContent {
    sid: String,
    account_sid: String,
    service_sid: String,
    function_sid: String,
    /// As UTF-8.
    content: String,
    url: String,
}

/// A version, with what it is of.
struct InVersion<K> {
    place: InContent<K>,
    version: ContentVersion,
    blob: BlobId,
}

impl<K: OfKind> Named for InVersion<K> {
    async fn find(api: &Api, call: &Call, names: &Names) -> Result<Self, Refusal> {
        let place = InContent::<K>::find(api, call, names).await?;
        let found = api.catalogue.content_version(K::KIND, &place.content.sid, names.of("version")).await?;
        let (version, blob) = found.ok_or_else(|| Refusal::unknown("Version"))?;
        Ok(Self { place, version, blob })
    }
}

/// Shows a version, alone or in a build.
pub(super) fn show(call: &Call, kind: Kind, service: &ServiceDetails, row: ContentVersion) -> Version {
    let (service, parent) = (&service.sid, &row.parent_sid);
    let url = call.url(format_args!("/Services/{service}/{}s/{parent}/Versions/{}", noun(kind), row.sid));
    let parent = Some(parent.to_string());
    let (asset_sid, function_sid, links) = match kind {
        Kind::Asset => (parent, None, None),
        Kind::Function => (None, parent, Some(Links { function_version_content: format!("{url}/Content") })),
    };
    Version {
        url,
        asset_sid,
        function_sid,
        links,
        account_sid: call.account().to_string(),
        service_sid: service.to_string(),
        path: row.path,
        visibility: row.visibility,
        date_created: Date(row.created_at),
        sid: row.sid.into(),
    }
}

async fn list<K: OfKind>(
    State(api): State<Api>,
    call: Call,
    Of(place): Of<InContent<K>>,
    listing: Listing,
) -> Result<Listed<Each<K, Version>>, Refusal> {
    let page = api.catalogue.list_content_versions(K::KIND, &place.content.sid, &listing.wanted()).await?;
    Ok(listing.answer(&call, page, |row| Each::new(show(&call, K::KIND, &place.service, row))))
}

/// Nothing of the body is read before it is known that the account has what this is about.
async fn create<K: OfKind>(
    State(api): State<Api>,
    call: Call,
    Of(place): Of<InContent<K>>,
    form: upload::Parts,
) -> Result<Created<Version>, Refusal> {
    let row = upload::receive(&api, &call, K::KIND, &place.service, place.content, form).await?;
    Ok(Created(show(&call, K::KIND, &place.service, row)))
}

async fn fetch<K: OfKind>(call: Call, Of(found): Of<InVersion<K>>) -> Result<Json<Version>, Refusal> {
    Ok(Json(show(&call, K::KIND, &found.place.service, found.version)))
}

async fn fetch_content(
    State(api): State<Api>,
    call: Call,
    Of(found): Of<InVersion<Functions>>,
) -> Result<Json<FunctionContent>, Refusal> {
    let InVersion { place, version, blob } = found;
    let blob = api.blobs.open_blob(blob).await?;
    let slices = blob.slices(0, usize::try_from(blob.id().slice_count()).unwrap_or(usize::MAX)).await?;
    let shown = show(&call, Kind::Function, &place.service, version);
    Ok(Json(FunctionContent {
        url: format!("{}/Content", shown.url),
        sid: shown.sid,
        account_sid: shown.account_sid,
        service_sid: shown.service_sid,
        function_sid: place.content.sid.into(),
        content: String::from_utf8_lossy(&slices.concat()).into_owned(),
    }))
}
