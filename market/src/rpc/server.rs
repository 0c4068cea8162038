//! Server of the calls over HTTP and WebSocket.

use super::{
    access::Guarded,
    error::OperatorError,
    id_text::id_text,
    names::Params,
    operator::Operator,
    service::{Service, SubmitError},
};
use crate::{
    id::PeerId,
    store::interface::{Store, StoreError},
};
use cheque::service::access::{Gate, Token};
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
use tokio::sync::broadcast::Receiver;

/// Default address, on the loopback interface.
pub const DEFAULT_ADDRESS: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8560);

/// Calls of the older system about something that a market does not have.
const CHECKPOINT_CALLS: [&str; 3] = [
    "les_latestCheckpoint",
    "les_getCheckpoint",
    "les_getCheckpointContractAddress",
];
const NO_CHECKPOINTS: &str = "a market has no checkpoints: they described the header chain of a light client, which \
                              is not served here; ask a node for headers";

/// Settings of a server.
#[derive(Clone, Debug)]
pub struct Listen {
    /// Address to listen on; port 0 selects a free port.
    pub address: SocketAddr,
    /// Token of all callers; required on any address except loopback.
    pub token: Option<Token>,
}

/// [`DEFAULT_ADDRESS`], open to all users of this machine.
impl Default for Listen {
    fn default() -> Self {
        Self {
            address: DEFAULT_ADDRESS,
            token: None,
        }
    }
}

/// An error of starting the server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// Other machines could call without a token.
    #[error("{address} can be reached from other machines; set a token, or listen on 127.0.0.1")]
    NoToken {
        /// The address.
        address: SocketAddr,
    },
    /// The server cannot listen on the address.
    #[error("cannot listen on {address}: {source}; name another address")]
    Io {
        /// The address.
        address: SocketAddr,
        /// Error of the operating system.
        source: io::Error,
    },
    /// Two calls have the same name: a defect of this library.
    #[error(transparent)]
    Calls(#[from] RegisterMethodError),
}

/// A server that runs until it is stopped or dropped.
#[derive(Debug)]
pub struct Running<Id, S> {
    service: Arc<Service<Id, S>>,
    address: SocketAddr,
    server: ServerHandle,
}

impl<Id: PeerId + Sync, S: Store + Clone + Send + Sync + 'static> Running<Id, S> {
    /// Returns the address of the server.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends calls and subscriptions in order, and stores the balances of all connected clients.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store fails.
    pub async fn stop(self) -> Result<(), StoreError> {
        // The server may have stopped by itself.
        let _ = self.server.stop();
        self.server.stopped().await;
        let saved = self
            .service
            .change(|operator, now_ns| operator.save(now_ns));
        saved.await.map_err(StoreError::new)?
    }
}

/// Starts a server for the operator's calls.
///
/// # Errors
///
/// [`ServeError`] if the address needs a token or cannot be listened on.
pub async fn serve<Id: PeerId + Sync, S: Store + Clone + Send + Sync + 'static>(
    service: Arc<Service<Id, S>>,
    listen: Listen,
) -> Result<Running<Id, S>, ServeError> {
    let Listen { address, token } = listen;
    let gate = Gate::new(address, token).ok_or(ServeError::NoToken { address })?;
    let io = |source| ServeError::Io { address, source };
    let guard = tower::layer::layer_fn(move |inner| Guarded {
        inner,
        gate: gate.clone(),
    });
    let server = Server::builder()
        .set_http_middleware(tower::ServiceBuilder::new().layer(guard))
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

fn calls<Id: PeerId + Sync, S: Store + Clone + Send + Sync + 'static>(
    service: Shared<Id, S>,
) -> Result<RpcModule<Shared<Id, S>>, RegisterMethodError> {
    let mut calls = RpcModule::from_arc(Arc::new(service));
    calls.register_blocking_method("les_serverInfo", |_, service, _| {
        Answer::Ok(service.read(|operator, _| operator.server_info()))
    })?;
    calls.register_blocking_method("les_clientInfo", |arguments, service, _| {
        let mut arguments = arguments.sequence();
        let ids: Vec<String> = arguments.optional_next()?.unwrap_or_default();
        let tags: Vec<String> = arguments.optional_next()?.unwrap_or_default();
        let found = ids_of(&ids).and_then(|ids| {
            service.read(|operator, now_ns| operator.client_info(&ids, &tags, now_ns))
        });
        let found = found.map_err(refused)?;
        let infos = found
            .into_iter()
            .map(|(id, info)| (id_text(&id), info.into()));
        Answer::Ok(infos.collect::<Params>())
    })?;
    calls.register_blocking_method("les_priorityClientInfo", |arguments, service, _| {
        let (start, stop, max): (String, String, u64) = arguments.parse()?;
        let (start, stop): (Id, Id) = (id(&start).map_err(refused)?, id(&stop).map_err(refused)?);
        let to_the_end = stop.as_ref().iter().all(|byte| *byte == 0);
        let stop = Some(stop.as_ref()).filter(|_| !to_the_end);
        let max = usize::try_from(max).unwrap_or(usize::MAX);
        let found = service.read(|operator, now_ns| {
            operator.priority_client_info(start.as_ref(), stop, max, now_ns)
        });
        let found = found.map_err(refused)?;
        let infos = found.clients.into_iter();
        let mut infos: Params = infos
            .map(|(id, info)| (id_text(&id), info.into()))
            .collect();
        if let Some(next) = found.next {
            infos.insert(id_text(&next), Value::Object(Params::new()));
        }
        Answer::Ok(infos)
    })?;
    calls.register_async_method("les_addBalance", |arguments, service, _| async move {
        let mut arguments = arguments.sequence();
        let (of, amount): (String, i64) = (arguments.next()?, arguments.next()?);
        let meta: Option<String> = arguments.optional_next()?;
        let id: Id = id(&of).map_err(refused)?;
        let added = change(&service, move |operator, now_ns| {
            operator.add_noted_balance(&id, amount, meta.as_deref(), now_ns)
        });
        let added = added.await?;
        Answer::Ok([added.old, added.new])
    })?;
    calls.register_async_method("les_setClientParams", |arguments, service, _| async move {
        let mut arguments = arguments.sequence();
        let ids: Vec<String> = arguments.next()?;
        // Clients of the first generation send tags, of the second generation none.
        let (tags, params): (Vec<String>, Params) = match arguments.next()? {
            Value::Object(params) => (Vec::new(), params),
            tags => (parsed(tags)?, arguments.next()?),
        };
        let ids: Vec<Id> = ids_of(&ids).map_err(refused)?;
        change(&service, move |operator, now_ns| {
            operator.set_client_params(&ids, &tags, &params, now_ns)
        })
        .await
    })?;
    calls.register_async_method("les_setDefaultParams", |arguments, service, _| async move {
        let (params,): (Params,) = arguments.parse()?;
        change(&service, move |operator, _| {
            operator.set_default_params(&params)
        })
        .await
    })?;
    calls.register_async_method("les_setConnectedBias", |arguments, service, _| async move {
        let (bias_ns,): (i64,) = arguments.parse()?;
        change(&service, move |operator, _| {
            operator.set_connected_bias(bias_ns)
        })
        .await
    })?;
    for name in CHECKPOINT_CALLS {
        calls.register_method(name, |_, _, _| Answer::<()>::Err(no_checkpoints()))?;
    }
    calls.register_subscription(
        "les_subscribeEvent",
        "les_event",
        "les_unsubscribeEvent",
        |arguments, pending, service, _| follow(arguments, pending, service),
    )?;
    Ok(calls)
}

/// Makes a change, and answers after it is stored.
async fn change<Id: PeerId + Sync, S: Store + Clone + Send + Sync + 'static, R: Send + 'static>(
    service: &Shared<Id, S>,
    f: impl FnOnce(&mut Operator<Id, S>, u64) -> Result<R, OperatorError> + Send + 'static,
) -> Answer<R> {
    let failed = |error: SubmitError| {
        ErrorObjectOwned::owned(error::INTERNAL_ERROR_CODE, error.to_string(), None::<()>)
    };
    let changed = service.change(f).await.map_err(failed)?;
    changed.map_err(refused)
}

/// Forwards events until the subscriber leaves or falls too far behind.
async fn follow<Id: PeerId + Sync, S: Store + Clone + Send + Sync + 'static>(
    arguments: Arguments<'static>,
    pending: PendingSubscriptionSink,
    service: Arc<Shared<Id, S>>,
) -> Result<(), SubscriptionError> {
    let requested = arguments.parse().and_then(|(tags, underrun)| {
        Operator::<Id, S>::subscription(tags, underrun).map_err(refused)
    });
    let subscription = match requested {
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
            event = events.recv() => event.map_err(|error| format!("{error}; subscribe again"))?,
        };
        if event.is_for(&subscription) {
            sink.send(to_json_raw_value(event.payload())?).await?;
        }
    }
}

fn no_checkpoints() -> ErrorObjectOwned {
    ErrorObjectOwned::owned(error::METHOD_NOT_FOUND_CODE, NO_CHECKPOINTS, None::<()>)
}

fn id<Id: PeerId>(given: &str) -> Result<Id, OperatorError> {
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

fn ids_of<Id: PeerId>(given: &[String]) -> Result<Vec<Id>, OperatorError> {
    given.iter().map(|given| id(given)).collect()
}

fn refused(error: OperatorError) -> ErrorObjectOwned {
    let code = match error.is_caller_error() {
        true => error::INVALID_PARAMS_CODE,
        false => error::INTERNAL_ERROR_CODE,
    };
    ErrorObjectOwned::owned(code, error.to_string(), None::<()>)
}
