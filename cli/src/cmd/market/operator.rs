//! Flags and connection of the operator's RPC.

use std::{fs, path::PathBuf};

use clap::Args;
use eyre::{Report, Result, WrapErr};
use jsonrpsee::{
    core::{
        ClientError,
        client::{ClientT, Subscription, SubscriptionClientT},
        params::ArrayParams,
    },
    ws_client::{HeaderMap, HeaderValue, WsClient, WsClientBuilder},
};
use serde_json::{Value, json};

use super::selection::Selection;
use crate::{
    exit::{Exit, Failure},
    output::Output,
};

/// Address of and access to the operator's RPC.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Market")]
pub(super) struct OperatorOpts {
    /// Connect to the operator's RPC by ws, wss, http or https
    #[arg(
        long,
        short = 'u',
        value_name = "URL",
        env = "CHEQUE_MARKET_URL",
        hide_env_values = true,
        default_value = "ws://127.0.0.1:8560"
    )]
    url: String,

    /// Send the bearer token in the file PATH
    #[arg(
        long,
        value_name = "PATH",
        env = "CHEQUE_MARKET_API_TOKEN_FILE",
        hide_env_values = true
    )]
    api_token_file: Option<PathBuf>,
}

impl OperatorOpts {
    /// Connects by WebSocket, which the server offers at the address of HTTP.
    pub(super) async fn connect(&self) -> Result<Operator> {
        let url = match self.url.strip_prefix("http") {
            Some(rest) => format!("ws{rest}"),
            None => self.url.clone(),
        };
        let mut headers = HeaderMap::new();
        if let Some(path) = &self.api_token_file {
            let token = fs::read_to_string(path)
                .wrap_err_with(|| format!("cannot read the token from {}", path.display()))?;
            let mut value = HeaderValue::from_str(&format!("Bearer {}", token.trim()))
                .wrap_err("the token cannot be sent; use visible ASCII characters only")?;
            value.set_sensitive(true);
            headers.insert("authorization", value);
        }
        let client = WsClientBuilder::default().set_headers(headers).build(url);
        let client = client.await.wrap_err_with(|| {
            format!(
                "cannot connect to the market at {}; check that it runs, and --api-token-file",
                self.url
            )
        })?;
        Ok(Operator(client))
    }
}

/// A connection to a market.
#[derive(Debug)]
pub(super) struct Operator(WsClient);

impl Operator {
    pub(super) async fn call(&self, method: &str, arguments: &[Value]) -> Result<Value> {
        let called = self.0.request(method, params(arguments)?).await;
        called.map_err(failed)
    }

    /// Sets parameters of the selected clients, for all or none of them, and prints the result.
    pub(super) async fn set(&self, clients: &Selection, params: Value, out: &Output) -> Result<()> {
        let arguments = clients.with(params);
        self.call("les_setClientParams", &arguments).await?;
        out.result(&json!({ "set": arguments[2] }), || "set".to_owned())
    }

    pub(super) async fn subscribe(&self, arguments: &[Value]) -> Result<Subscription<Value>> {
        let arguments = params(arguments)?;
        let subscribed = self
            .0
            .subscribe("les_subscribeEvent", arguments, "les_unsubscribeEvent");
        subscribed.await.map_err(failed)
    }
}

fn params(arguments: &[Value]) -> Result<ArrayParams> {
    let mut params = ArrayParams::new();
    for argument in arguments {
        params.insert(argument)?;
    }
    Ok(params)
}

fn failed(error: ClientError) -> Report {
    let ClientError::Call(refused) = error else {
        return Report::new(error).wrap_err("the market does not answer; try again");
    };
    Report::new(Failure {
        exit: Exit::Failed,
        code: "refused".to_owned(),
        text: format!("the market rejects the call: {}", refused.message()),
    })
}
