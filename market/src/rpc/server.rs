//! The calls over HTTP and WebSocket.

use super::{
    access::{Gate, Token},
    error::OperatorError,
    operator::{Operator, text},
    params::Params,
    service::Service,
};
use crate::{
    id::NodeId,
    store::{Store, StoreError},
};
use jsonrpsee::{
    PendingSubscriptionSink, RpcModule,
    core::{RegisterMethodError, SubscriptionError, to_json_raw_value},
    server::{Server, ServerHandle},
    types::{ErrorObjectOwned, Params as Arguments, error},
};
use serde_json::Value;
use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};
use tokio::{sync::broadcast::Receiver, task};

/// This machine only.
pub const DEFAULT_ADDRESS: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8560);

/// Where to listen, and for whom.
#[derive(Clone, Debug)]
pub struct Listen {
    /// The address; port 0 is any that is free.
    pub address: SocketAddr,
    /// What callers must know; needed on any address but a loopback one.
    pub token: Option<Token>,
}

/// On [`DEFAULT_ADDRESS`], for everybody on this machine.
impl Default for Listen {
    fn default() -> Self {
        Self {
            address: DEFAULT_ADDRESS,
            token: None,
        }
    }
}

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// Others could call.
    #[error("{address} can be reached from other machines: set a token, or listen on 127.0.0.1")]
    NoToken {
        /// The address.
        address: SocketAddr,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}; name another address")]
    Io {
        /// The address.
        address: SocketAddr,
        /// The failure.
        source: io::Error,
    },
    /// Two calls have one name: a defect of this library.
    #[error(transparent)]
    Calls(#[from] RegisterMethodError),
}

/// A server that answers until it is stopped or dropped.
#[derive(Debug)]
pub struct Running<Id, S> {
    service: Arc<Service<Id, S>>,
    address: SocketAddr,
    server: ServerHandle,
}

impl<Id: NodeId + Sync, S: Store + Send + 'static> Running<Id, S> {
    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends calls and subscriptions in order, and stores the balances of all connected clients.
    pub async fn stop(self) -> Result<(), StoreError> {
        // It may have stopped by itself.
        let _ = self.server.stop();
        self.server.stopped().await;
        let service = self.service;
        let saved =
            task::spawn_blocking(move || service.with(|operator, now_ns| operator.save(now_ns)));
        saved.await.map_err(StoreError::new)?
    }
}

/// Answers the operator's calls from now on.
pub async fn serve<Id: NodeId + Sync, S: Store + Send + 'static>(
    service: Arc<Service<Id, S>>,
    listen: Listen,
) -> Result<Running<Id, S>, ServeError> {
    let Listen { address, token } = listen;
    if token.is_none() && !address.ip().is_loopback() {
        return Err(ServeError::NoToken { address });
    }
    let io = |source| ServeError::Io { address, source };
    let gate = tower::layer::layer_fn(move |inner| Gate {
        inner,
        token: token.clone(),
    });
    let server = Server::builder()
        .set_http_middleware(tower::ServiceBuilder::new().layer(gate))
        .build(address)
        .await
        .map_err(io)?;
    let address = server.local_addr().map_err(io)?;
    let calls = calls(Arc::clone(&service))?;
    Ok(Running {
        service,
        address,
        server: server.start(calls),
    })
}

type Shared<Id, S> = Arc<Service<Id, S>>;
type Answer<T> = Result<T, ErrorObjectOwned>;

fn calls<Id: NodeId + Sync, S: Store + Send + 'static>(
    service: Shared<Id, S>,
) -> Result<RpcModule<Shared<Id, S>>, RegisterMethodError> {
    let mut calls = RpcModule::from_arc(Arc::new(service));
    calls.register_blocking_method("les_serverInfo", |_, service, _| {
        Answer::Ok(service.with(|operator, _| operator.server_info()))
    })?;
    calls.register_blocking_method("les_clientInfo", |arguments, service, _| {
        let mut arguments = arguments.sequence();
        let ids: Vec<String> = arguments.optional_next()?.unwrap_or_default();
        let tags: Vec<String> = arguments.optional_next()?.unwrap_or_default();
        let found = ids_of(&ids).and_then(|ids| {
            service.with(|operator, now_ns| operator.client_info(&ids, &tags, now_ns))
        });
        let found = found.map_err(refused)?;
        let infos = found.into_iter().map(|(id, info)| (text(&id), info.into()));
        Answer::Ok(infos.collect::<Params>())
    })?;
    calls.register_blocking_method("les_priorityClientInfo", |arguments, service, _| {
        let (start, stop, most): (String, String, u64) = arguments.parse()?;
        let (start, stop): (Id, Id) = (id(&start).map_err(refused)?, id(&stop).map_err(refused)?);
        let to_the_end = stop.as_ref().iter().all(|byte| *byte == 0);
        let stop = Some(stop.as_ref()).filter(|_| !to_the_end);
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let found = service.with(|operator, now_ns| {
            operator.priority_client_info(start.as_ref(), stop, most, now_ns)
        });
        let found = found.map_err(refused)?;
        let infos = found.clients.into_iter();
        let mut infos: Params = infos.map(|(id, info)| (text(&id), info.into())).collect();
        if let Some(next) = found.next {
            infos.insert(text(&next), Value::Object(Params::new()));
        }
        Answer::Ok(infos)
    })?;
    calls.register_blocking_method("les_addBalance", |arguments, service, _| {
        let (of, amount): (String, i64) = arguments.parse()?;
        let added = id(&of).and_then(|id| {
            service.with(|operator, now_ns| operator.add_balance(&id, amount, now_ns))
        });
        let added = added.map_err(refused)?;
        Answer::Ok([added.old, added.new])
    })?;
    calls.register_blocking_method("les_setClientParams", |arguments, service, _| {
        let mut arguments = arguments.sequence();
        let ids: Vec<String> = arguments.next()?;
        // The first generation has tags, the second has not.
        let (tags, params): (Vec<String>, Params) = match arguments.next()? {
            Value::Object(params) => (Vec::new(), params),
            tags => (parsed(tags)?, arguments.next()?),
        };
        let set = ids_of(&ids).and_then(|ids| {
            service
                .with(|operator, now_ns| operator.set_client_params(&ids, &tags, &params, now_ns))
        });
        set.map_err(refused)
    })?;
    calls.register_blocking_method("les_setDefaultParams", |arguments, service, _| {
        let (params,): (Params,) = arguments.parse()?;
        let set = service.with(|operator, _| operator.set_default_params(&params));
        set.map_err(refused)
    })?;
    calls.register_blocking_method("les_setConnectedBias", |arguments, service, _| {
        let (bias_ns,): (i64,) = arguments.parse()?;
        let set = service.with(|operator, _| operator.set_connected_bias(bias_ns));
        set.map_err(refused)
    })?;
    calls.register_subscription(
        "les_subscribeEvent",
        "les_event",
        "les_unsubscribeEvent",
        |arguments, pending, service, _| follow(arguments, pending, service),
    )?;
    Ok(calls)
}

/// Passes events on until the subscriber leaves or falls too far behind.
async fn follow<Id: NodeId + Sync, S: Store + Send + 'static>(
    arguments: Arguments<'static>,
    pending: PendingSubscriptionSink,
    service: Arc<Shared<Id, S>>,
) -> Result<(), SubscriptionError> {
    let asked = arguments.parse().and_then(|(tags, underrun)| {
        Operator::<Id, S>::subscription(tags, underrun).map_err(refused)
    });
    let subscription = match asked {
        Ok(subscription) => subscription,
        Err(error) => {
            pending.reject(error).await;
            return Ok(());
        }
    };
    let mut events: Receiver<_> = service.events();
    drop(service);
    let sink = pending.accept().await?;
    loop {
        let event = tokio::select! {
            () = sink.closed() => return Ok(()),
            event = events.recv() => event.map_err(|error| format!("{error}: subscribe again"))?,
        };
        if event.is_for(&subscription) {
            sink.send(to_json_raw_value(event.payload())?).await?;
        }
    }
}

fn id<Id: NodeId>(given: &str) -> Result<Id, OperatorError> {
    let bytes = given
        .strip_prefix("0x")
        .and_then(|hex| const_hex::decode(hex).ok());
    let id = bytes.and_then(|bytes| Id::try_from(&bytes).ok());
    id.ok_or_else(|| OperatorError::Id(given.to_owned()))
}

fn parsed(tags: Value) -> Answer<Vec<String>> {
    let invalid = |error: serde_json::Error| {
        ErrorObjectOwned::owned(error::INVALID_PARAMS_CODE, error.to_string(), None::<()>)
    };
    serde_json::from_value(tags).map_err(invalid)
}

fn ids_of<Id: NodeId>(given: &[String]) -> Result<Vec<Id>, OperatorError> {
    given.iter().map(|given| id(given)).collect()
}

fn refused(error: OperatorError) -> ErrorObjectOwned {
    let code = match error.is_callers() {
        true => error::INVALID_PARAMS_CODE,
        false => error::INTERNAL_ERROR_CODE,
    };
    ErrorObjectOwned::owned(code, error.to_string(), None::<()>)
}
