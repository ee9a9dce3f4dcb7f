//! `operation`: shows and cancels the work of the server.

use std::io::Write;

use super::Format;
use super::connect::{Connection, OperationClient};
use super::error::{Result, answered};
use super::pages::{self, PAGE_SIZE};
use super::render::{json, operation};
use crate::proto::v1::{
    CancelOperationRequest, GetOperationRequest, ListOperationsRequest, ListOperationsResponse,
    Operation, cancel_operation_request, get_operation_request,
};

/// The subcommands of `operation`.
#[derive(Debug, clap::Subcommand)]
pub(super) enum OperationCommand {
    /// List what the server is at work on, and what it has ended in the last minutes
    List(ListArgs),
    /// Describe an operation: its state and how far it is
    Get(NamedArgs),
    /// Cancel an operation; those who wait for it are told
    Cancel(NamedArgs),
}

/// The arguments of `operation list`.
#[derive(Debug, clap::Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    format: Format,
    #[command(flatten)]
    connection: Connection,
}

/// The arguments of `operation get` and `operation cancel`.
#[derive(Debug, clap::Args)]
pub(super) struct NamedArgs {
    /// The operation
    #[arg(value_name = "ID", required_unless_present = "request_id")]
    operation: Option<String>,
    /// The key of the command that began it, in the place of its id
    #[arg(long, value_name = "KEY", conflicts_with = "operation")]
    request_id: Option<String>,
    #[command(flatten)]
    format: Format,
    #[command(flatten)]
    connection: Connection,
}

impl OperationCommand {
    pub(super) async fn run(&self, out: &mut dyn Write) -> Result<()> {
        match self {
            Self::List(args) => args.run(out).await,
            Self::Get(args) => args.get(out).await,
            Self::Cancel(args) => args.cancel(out).await,
        }
    }
}

impl ListArgs {
    async fn run(&self, out: &mut dyn Write) -> Result<()> {
        let operations = list(&mut self.connection.operations().await?).await?;
        if self.format.json {
            let response = ListOperationsResponse {
                operations,
                next_page_token: String::new(),
            };
            return json::write(out, "ListOperationsResponse", &response);
        }
        operation::write_list(out, &operations)
    }
}

/// All operations.
pub(super) async fn list(client: &mut OperationClient) -> Result<Vec<Operation>> {
    let page = async |page_token| {
        let request = ListOperationsRequest {
            page_size: PAGE_SIZE,
            page_token,
        };
        let page = client.list_operations(request).await?.into_inner();
        Ok((page.operations, page.next_page_token))
    };
    pages::all(page).await
}

impl NamedArgs {
    /// The operation, by its id or by its key.
    fn named<T>(&self, by_id: fn(String) -> T, by_key: fn(String) -> T) -> Option<T> {
        match (&self.operation, &self.request_id) {
            (_, Some(key)) => Some(by_key(key.clone())),
            (id, None) => id.clone().map(by_id),
        }
    }

    async fn get(&self, out: &mut dyn Write) -> Result<()> {
        use get_operation_request::Operation::{OperationId, RequestId};
        let request = GetOperationRequest {
            operation: self.named(OperationId, RequestId),
        };
        let mut client = self.connection.operations().await?;
        let response = client.get_operation(request).await?.into_inner();
        if self.format.json {
            return json::write(out, "GetOperationResponse", &response);
        }
        operation::write_operation(out, answered(response.operation.as_ref(), "an operation")?)
    }

    async fn cancel(&self, out: &mut dyn Write) -> Result<()> {
        use cancel_operation_request::Operation::{OperationId, RequestId};
        let request = CancelOperationRequest {
            operation: self.named(OperationId, RequestId),
        };
        let mut client = self.connection.operations().await?;
        let response = client.cancel_operation(request).await?.into_inner();
        if self.format.json {
            return json::write(out, "CancelOperationResponse", &response);
        }
        operation::write_operation(out, answered(response.operation.as_ref(), "an operation")?)
    }
}

#[cfg(test)]
mod tests {
    use crate::cli::error::Error;
    use crate::cli::typed::Case;

    #[tokio::test]
    async fn what_a_command_has_done_is_listed_described_and_too_late_to_be_cancelled() {
        let case = Case::new().await;
        case.file("rows.csv", "x\n1\n2\n4\n8\n");
        let train = "train r rows.csv --detector gaussian --request-id k";
        case.run(train).await.expect("trains");
        case.run("dataset upload rows.csv --id d")
            .await
            .expect("is stored");
        let shown = case.run("operation list").await.expect("lists");
        for word in ["train", "upload_dataset", "succeeded"] {
            assert!(shown.contains(word), "{word} in {shown}");
        }
        let json = case.run("operation list --json").await.expect("lists");
        let listed: serde_json::Value = serde_json::from_str(&json).expect("one object");
        assert_eq!(listed["operations"][0]["request_id"], "k");
        // a command without a key gets one
        let made_up = listed["operations"][1]["request_id"].as_str();
        assert_eq!(made_up.map(str::len), Some(32), "{json}");

        let id = listed["operations"][0]["operation_id"].as_str();
        let id = id.expect("it has an id");
        for line in [
            format!("operation get {id}"),
            format!("operation cancel {id}"),
        ] {
            let shown = case.run(&line).await.expect("it is there");
            assert!(shown.contains("succeeded") && shown.contains(id), "{shown}");
        }
        let by_key = case.run("operation get --request-id k --json").await;
        assert!(by_key.is_ok_and(|shown| shown.contains(id)));
        let error = case.run("operation cancel --request-id other").await;
        assert!(
            matches!(&error, Err(Error::Status(s)) if s.code() == tonic::Code::NotFound),
            "{error:?}"
        );
        case.stop().await;
    }
}
