//! `models`, `show` and `delete`.

use std::io::Write;

use super::Format;
use super::confirm::confirm_deletion;
use super::connect::{Client, Connection};
use super::error::{Result, answered};
use super::pages::{self, PAGE_SIZE};
use super::render::{json, model};
use super::version;
use crate::proto::v1::{
    DeleteRunRequest, GetModelRequest, ListModelsRequest, ListModelsResponse, Model,
    VersionSelector,
};

/// The arguments of `models`.
#[derive(Debug, clap::Args)]
pub(super) struct ModelsArgs {
    #[command(flatten)]
    format: Format,
    #[command(flatten)]
    connection: Connection,
}

/// The arguments of `show`.
#[derive(Debug, clap::Args)]
pub(super) struct ShowArgs {
    /// The run to describe
    run: String,
    /// The version to describe; without it, the active one
    #[arg(long, value_name = "N|ALIAS", value_parser = version::selector)]
    version: Option<VersionSelector>,
    #[command(flatten)]
    format: Format,
    #[command(flatten)]
    connection: Connection,
}

/// The arguments of `delete`.
#[derive(Debug, clap::Args)]
pub(super) struct DeleteArgs {
    /// The run to delete, with all its versions
    run: String,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    format: Format,
    #[command(flatten)]
    connection: Connection,
}

impl ModelsArgs {
    pub(super) async fn run(&self, out: &mut dyn Write) -> Result<()> {
        let models = list(&mut self.connection.client().await?).await?;
        if self.format.json {
            let response = ListModelsResponse {
                models,
                next_page_token: String::new(),
            };
            return json::write(out, "ListModelsResponse", &response);
        }
        model::write_list(out, &models)
    }
}

/// The active versions of all runs.
pub(super) async fn list(client: &mut Client) -> Result<Vec<Model>> {
    let page = async |page_token| {
        let request = ListModelsRequest {
            page_size: PAGE_SIZE,
            page_token,
        };
        let page = client.list_models(request).await?.into_inner();
        Ok((page.models, page.next_page_token))
    };
    pages::all(page).await
}

impl ShowArgs {
    pub(super) async fn run(&self, out: &mut dyn Write) -> Result<()> {
        let request = GetModelRequest {
            run_id: self.run.clone(),
            version: self.version.clone(),
        };
        let response = self
            .connection
            .client()
            .await?
            .get_model(request)
            .await?
            .into_inner();
        if self.format.json {
            return json::write(out, "GetModelResponse", &response);
        }
        let shown = answered(response.model.as_ref(), "a model")?;
        model::write_model(out, shown, response.active_version, &response.kept_versions)
    }
}

impl DeleteArgs {
    pub(super) async fn run(&self, out: &mut dyn Write) -> Result<()> {
        if !self.yes {
            confirm_deletion(&format!("run {:?} with all its versions", self.run))?;
        }
        let request = DeleteRunRequest {
            run_id: self.run.clone(),
        };
        let response = self
            .connection
            .client()
            .await?
            .delete_run(request)
            .await?
            .into_inner();
        if self.format.json {
            return json::write(out, "DeleteRunResponse", &response);
        }
        let versions = response.n_versions.unwrap_or(0);
        writeln!(
            out,
            "run {:?} is deleted, with {versions} version(s)",
            self.run
        )?;
        Ok(())
    }
}
