//! `dataset`: manages the tables that the server keeps.

use std::io::Write;

use super::Format;
use super::confirm::confirm_deletion;
use super::connect::{self, Connection, DatasetClient, Transport};
use super::error::{Result, answered};
use super::long_call::{LongCall, Target};
use super::pages::{self, PAGE_SIZE};
use super::render::{dataset, json};
use super::train::WriteArgs;
use crate::proto::v1::{
    CombineDatasetsRequest, Dataset, DeleteDatasetRequest, GetDatasetRequest, ListDatasetsRequest,
    ListDatasetsResponse,
};

mod upload;

/// The subcommands of `dataset`.
#[derive(Debug, clap::Subcommand)]
pub(super) enum DatasetCommand {
    /// Send a file of any size to the server, once for any number of uses
    Upload(Box<upload::UploadArgs>),
    /// Put the rows of datasets below each other, as a new one; columns are matched by name
    Combine(CombineArgs),
    /// List your datasets
    List(ListArgs),
    /// Describe a dataset: columns, types, statistics
    Get(GetArgs),
    /// Delete a dataset; models that learned from it stay
    Delete(DeleteArgs),
}

/// The arguments of `dataset combine`.
#[derive(Debug, clap::Args)]
pub(super) struct CombineArgs {
    /// The datasets whose rows make the new one, in this order; the same one may come more than once
    #[arg(required = true, value_name = "ID")]
    datasets: Vec<String>,
    /// The id of the new dataset, which must be free; without it, one is made up
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    #[command(flatten)]
    common: WriteArgs,
    #[command(flatten)]
    connection: Connection,
}

/// The arguments of `dataset list`.
#[derive(Debug, clap::Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    format: Format,
    #[command(flatten)]
    connection: Connection,
}

/// The arguments of `dataset get`.
#[derive(Debug, clap::Args)]
pub(super) struct GetArgs {
    /// The dataset to describe
    #[arg(value_name = "ID")]
    dataset: String,
    #[command(flatten)]
    format: Format,
    #[command(flatten)]
    connection: Connection,
}

/// The arguments of `dataset delete`.
#[derive(Debug, clap::Args)]
pub(super) struct DeleteArgs {
    /// The dataset to delete
    #[arg(value_name = "ID")]
    dataset: String,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    format: Format,
    #[command(flatten)]
    connection: Connection,
}

impl DatasetCommand {
    pub(super) async fn run(&self, out: &mut dyn Write) -> Result<()> {
        match self {
            Self::Upload(args) => {
                // problems with the file are found before a call is made
                let upload = args.open()?;
                args.run(args.connection.transport().await?, upload, out)
                    .await
            }
            Self::Combine(args) => args.run(args.connection.transport().await?, out).await,
            Self::List(args) => args.run(&mut args.connection.datasets().await?, out).await,
            Self::Get(args) => args.run(&mut args.connection.datasets().await?, out).await,
            Self::Delete(args) => {
                if !args.yes {
                    confirm_deletion(&format!("dataset {:?}", args.dataset))?;
                }
                args.run(&mut args.connection.datasets().await?, out).await
            }
        }
    }
}

impl CombineArgs {
    async fn run(&self, transport: Transport, out: &mut dyn Write) -> Result<()> {
        let mut request = CombineDatasetsRequest {
            dataset_ids: self.datasets.clone(),
            dataset_id: self.id.clone().unwrap_or_default(),
            request_id: self.common.request_id.clone().unwrap_or_default(),
        };
        let target = Target::Dataset(request.dataset_id.clone());
        let request_id = &mut request.request_id;
        let call = LongCall::new(&self.connection, transport.clone(), target, request_id);
        let mut client = connect::dataset_client(transport);
        let combine = async || {
            let answer = client.combine_datasets(request.clone()).await?;
            Ok(answer.into_inner())
        };
        let response = call.make(combine).await?;
        if self.common.format.json {
            return json::write(out, "CombineDatasetsResponse", &response);
        }
        dataset::write_stored(out, answered(response.dataset.as_ref(), "a dataset")?)
    }
}

impl ListArgs {
    async fn run(&self, client: &mut DatasetClient, out: &mut dyn Write) -> Result<()> {
        let datasets = list(client).await?;
        if self.format.json {
            let response = ListDatasetsResponse {
                datasets,
                next_page_token: String::new(),
            };
            return json::write(out, "ListDatasetsResponse", &response);
        }
        dataset::write_list(out, &datasets)
    }
}

/// All datasets, without their columns.
async fn list(client: &mut DatasetClient) -> Result<Vec<Dataset>> {
    let page = async |page_token| {
        let request = ListDatasetsRequest {
            page_size: PAGE_SIZE,
            page_token,
        };
        let page = client.list_datasets(request).await?.into_inner();
        Ok((page.datasets, page.next_page_token))
    };
    pages::all(page).await
}

impl GetArgs {
    async fn run(&self, client: &mut DatasetClient, out: &mut dyn Write) -> Result<()> {
        let request = GetDatasetRequest {
            dataset_id: self.dataset.clone(),
        };
        let response = client.get_dataset(request).await?.into_inner();
        if self.format.json {
            return json::write(out, "GetDatasetResponse", &response);
        }
        dataset::write_dataset(out, answered(response.dataset.as_ref(), "a dataset")?)
    }
}

impl DeleteArgs {
    async fn run(&self, client: &mut DatasetClient, out: &mut dyn Write) -> Result<()> {
        let request = DeleteDatasetRequest {
            dataset_id: self.dataset.clone(),
        };
        let response = client.delete_dataset(request).await?.into_inner();
        if self.format.json {
            return json::write(out, "DeleteDatasetResponse", &response);
        }
        let rows = response.n_rows.unwrap_or(0);
        writeln!(
            out,
            "dataset {:?} is deleted, with {rows} row(s)",
            self.dataset
        )?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
