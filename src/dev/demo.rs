//! The demo assets: published once, on a new folder, through the same code as `skerry put`.

use crate::client::{self, Client, Content, Place, PlannedFile, Progress, Sending, WarmOption};
use crate::failure::Failure;
use bytes::Bytes;
use skerry_proto::visibility::Visibility;

/// Path and bytes of each.
const ASSETS: [(&str, &[u8]); 6] = [
    ("/app.js", include_bytes!("../../deploy/demo/app.js")),
    ("/hello.mp3", include_bytes!("../../deploy/demo/hello.mp3")),
    ("/index.html", include_bytes!("../../deploy/demo/index.html")),
    ("/logo.svg", include_bytes!("../../deploy/demo/logo.svg")),
    ("/photo.jpg", include_bytes!("../../deploy/demo/photo.jpg")),
    ("/style.css", include_bytes!("../../deploy/demo/style.css")),
];

/// Publishes the demo and waits until every edge shows it. Does nothing where something is live already: then this was
/// interrupted after its publication.
pub(super) async fn publish(place: Place) -> Result<(), Failure> {
    let client = Client::to(place).await?;
    if !client.list(client.target()).await?.build_sid.is_empty() {
        return Ok(());
    }
    let published =
        client::publish(&client, files()?, Sending::Missing, &Progress::hidden(), WarmOption::default())
            .await?;
    let edges = client::watch_live(&client, client::version(&published.commit), |_| {}).await?;
    client::all_live(&edges)
}

fn files() -> Result<Vec<PlannedFile>, Failure> {
    ASSETS.iter().map(|(path, bytes)| file(path, bytes)).collect()
}

fn file(path: &str, bytes: &'static [u8]) -> Result<PlannedFile, Failure> {
    Ok(PlannedFile {
        path: path.parse().map_err(|error| Failure::new(format!("{path}: {error}")))?,
        visibility: Visibility::Public,
        content_type: String::new(),
        size: bytes.len() as u64,
        content: Content::Bytes(Bytes::from_static(bytes)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_demo_asset_has_a_valid_path_and_bytes() {
        let files = files().expect("valid");
        assert!(files.iter().all(|file| file.size > 0));
        assert_eq!(files.len(), ASSETS.len());
    }
}
